import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Pipeline, Redis } from 'iovalkey';
import { MillraceError } from '../../core/errors.ts';
import { isReply, redisError } from './redis-error.ts';
import { WideCommand } from './wide-command.ts';

/** Where Redis is and who asks. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** PEM file of the authority that signed the server; empty: those the system trusts. */
  readonly caFile: string;
  /** ACL user; empty: the default user. */
  readonly username: string;
  /** The password itself; empty: no login. */
  readonly password: string;
  /** Longest wait for a connection or for the next bytes of a reply; {@link REPLY_MS_MAX} where absent. */
  readonly replyMsMax?: number;
}

/** A command with its arguments. */
export type RedisCommand = readonly [name: string, ...args: (string | number)[]];

/** A Lua script; it runs whole, and nothing else runs meanwhile. */
export interface RedisScript {
  readonly lua: string;
  readonly sha: string;
}

/** One connection to Redis. Calls throw `unavailable` errors, at once where it is broken; it mends by itself. */
export interface RedisConnection {
  /**
   * Sends commands in one write, with none of another call between them, and resolves with their replies in order.
   * The first refusal is thrown, but for WRONGTYPE, which speaks of one key only: that stands in its place.
   */
  send(commands: readonly RedisCommand[]): Promise<readonly unknown[]>;
  run(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  close(): Promise<void>;
}

const REPLY_MS_MAX = 5_000;
const RECONNECT_MS = 200;
/** With more arguments a command is a {@link WideCommand}. */
const FEW_ARGS = 8;

/** Connects and logs in; throws the named error where that fails. */
export async function connectRedis(address: RedisAddress): Promise<RedisConnection> {
  const place = `${address.host}:${address.port}`;
  const client = createClient(address);
  // The client emits what befell its connection and rejects calls with less: this is the cause of those.
  let lastError: Error | undefined;
  client.on('error', (error: Error) => {
    lastError = error;
  });
  client.on('ready', () => {
    lastError = undefined;
  });
  const failure = (error: unknown): MillraceError => {
    const isSaid = error instanceof MillraceError || isReply(error);
    return redisError(isSaid ? error : (lastError ?? 'the connection is lost'), place);
  };
  const send = async (commands: readonly RedisCommand[]): Promise<readonly unknown[]> => {
    const pipeline = new Pipeline(client);
    for (const [name, ...args] of commands) {
      if (args.length <= FEW_ARGS) pipeline.call(name, args);
      else pipeline.sendCommand(new WideCommand(name, args.map(String)));
    }
    const replies = (await pipeline.exec()) ?? [];
    const refusal = replies.find(([error]) => error !== null && !isWrongType(error))?.[0];
    if (refusal !== undefined) throw failure(refusal);
    return replies.map(([error, value]) => error ?? value);
  };
  const ask = (name: string, args: readonly string[]): Promise<unknown> => {
    const command = new WideCommand(name, args);
    client.sendCommand(command);
    return command.promise;
  };
  const connection: RedisConnection = {
    send,
    async run({ lua, sha }, keys, args) {
      const rest = [String(keys.length), ...keys, ...args];
      try {
        return await ask('evalsha', [sha, ...rest]).catch((error: unknown) => {
          if (!isReply(error) || !error.message.startsWith('NOSCRIPT')) throw error;
          return ask('eval', [lua, ...rest]);
        });
      } catch (error) {
        throw failure(error);
      }
    },
    async close() {
      client.disconnect();
    },
  };
  try {
    await client.connect();
    await send([['ping']]);
  } catch (error) {
    client.disconnect();
    throw failure(error);
  }
  return connection;
}

/** A script with the digest that Redis knows it by. */
export function defineScript(lua: string): RedisScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/**
 * The client, told never to hide an outage: nothing waits in a queue of its own, and nothing is sent again behind
 * our back, where a command would lose the SELECT before it and reach another database. The ready check is off: an
 * ACL user without INFO makes the client skip it anyway, and a server that is loading says so to every command.
 */
function createClient(address: RedisAddress): Redis {
  const replyMsMax = address.replyMsMax ?? REPLY_MS_MAX;
  return new Redis({
    host: address.host,
    port: address.port,
    family: 0,
    familyFallback: { enabled: false },
    ...(address.username === '' ? {} : { username: address.username }),
    ...(address.password === '' ? {} : { password: address.password }),
    ...(address.tls ? { tls: tlsOptions(address.caFile) } : {}),
    connectTimeout: replyMsMax,
    socketTimeout: replyMsMax,
    keepAlive: 10_000,
    lazyConnect: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // What is under way when the connection breaks is rejected then; with more it would wait for the next one.
    maxRetriesPerRequest: 0,
    retryStrategy: () => RECONNECT_MS,
  });
}

function tlsOptions(caFile: string): { ca?: Buffer } {
  if (caFile === '') return {};
  try {
    return { ca: readFileSync(caFile) };
  } catch (cause) {
    throw new MillraceError('ERR_FILE_UNREADABLE', `redis.caFile ${caFile} cannot be read`, { cause });
  }
}

function isWrongType(error: Error): boolean {
  return isReply(error) && error.message.startsWith('WRONGTYPE');
}
