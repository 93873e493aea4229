import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { MECHANISM } from './kafka-config.ts';
import { readSecret } from './managed-file.ts';

/** What a broker says of its cluster. */
export interface ClusterAnswer {
  readonly clusterId: string;
  /** Ids of the brokers that it knows to be there, ascending. */
  readonly brokers: readonly number[];
}

/** Who logs in; the password is read each time, from its file. */
export interface KafkaLogin {
  readonly user: string;
  /** Absolute, on the host. */
  readonly secretFile: string;
}

/** A loopback port of a broker or a controller, with how to log in there. */
export interface KafkaListener {
  readonly port: number;
  readonly login: KafkaLogin;
}

const SASL_HANDSHAKE = 17;
const SASL_AUTHENTICATE = 36;
const METADATA = 3;
/** The oldest version that Kafka 3.9 and 4.3 both answer; nothing in it is tagged or compact. */
const METADATA_VERSION = 4;
const UNREGISTER_BROKER = 64;
const CLIENT = 'millrace';
const ANSWER_MS_MAX = 5_000;
/** Codes of the protocol. */
const NONE = 0;
const BROKER_ID_NOT_REGISTERED = 102;
const LOGIN_REFUSED = 58;
/** A handshake, a login and the request itself. */
const REPLIES = 3;

/**
 * Asks a broker for its cluster, through Kafka's own protocol. Throws ERR_STORE_AUTH where it refuses the login, and
 * another unavailable error while it cannot say.
 */
export async function askBroker(host: Host, listener: KafkaListener): Promise<ClusterAnswer> {
  // An empty list of topics, and none are to be created.
  const body = Buffer.alloc(5);
  return ask(host, listener, { key: METADATA, version: METADATA_VERSION, body, read: readMetadata });
}

/**
 * Has the active controller forget a broker: its partitions have no leader from then on. Resolves once that is durable,
 * also where the broker is not registered. Throws ERR_NOT_READY while the node is not the active controller, and
 * ERR_STORE_AUTH where it refuses the login.
 */
export async function unregisterBroker(host: Host, listener: KafkaListener, id: number): Promise<void> {
  // Version 0 ends its header and its body with a count of tagged fields: none.
  const body = Buffer.alloc(6);
  body.writeInt32BE(id, 1);
  // After length, correlation, tags and throttle time.
  const read = (reply: Buffer) => reply.readInt16BE(13);
  const code = await ask(host, listener, { key: UNREGISTER_BROKER, version: 0, body, read });
  if (code === NONE || code === BROKER_ID_NOT_REGISTERED) return;
  throw new MillraceError(
    'ERR_NOT_READY',
    `the controller on port ${listener.port} answers with code ${code}`,
  );
}

interface Request<T> {
  readonly key: number;
  readonly version: number;
  /** What follows the client's name: of a flexible version from the header's tags on. */
  readonly body: Buffer;
  /** Reads a whole reply, its length first; running past the end throws. */
  readonly read: (reply: Buffer) => T;
}

/**
 * Logs in and sends a request. All of it goes at once: a connection is read request by request, and one whose login is
 * refused is closed.
 */
async function ask<T>(
  host: Host,
  { port, login }: KafkaListener,
  { key, version, body, read }: Request<T>,
): Promise<T> {
  const name = Buffer.from(MECHANISM);
  const secret = Buffer.from(`\0${login.user}\0${(await readSecret(host, login.secretFile)) ?? ''}`);
  const requests = [
    encode({ key: SASL_HANDSHAKE, version: 1, body: Buffer.concat([int16(name.length), name]) }),
    encode({ key: SASL_AUTHENTICATE, version: 0, body: Buffer.concat([int32(secret.length), secret]) }),
    encode({ key, version, body }),
  ];
  const answer = await host.ask(port, Buffer.concat(requests), {
    timeoutMs: ANSWER_MS_MAX,
    isWhole(bytes) {
      const replies = splitReplies(Buffer.from(bytes));
      return replies.length === REPLIES || replies.slice(0, 2).some(reply => codeOf(reply) !== NONE);
    },
  });
  const [handshake, authentication, reply] = splitReplies(Buffer.from(answer));
  const [taken, admitted] = [codeOf(handshake), codeOf(authentication)];
  if (taken !== undefined && taken !== NONE) {
    // One that an earlier version started, and that the next run starts anew.
    throw new MillraceError('ERR_NOT_READY', `port ${port} takes no login by ${MECHANISM}: code ${taken}`);
  }
  if (admitted === LOGIN_REFUSED) {
    throw new MillraceError(
      'ERR_STORE_AUTH',
      `port ${port} refuses ${login.user} with the password that is in its file`,
      {
        remedy: 'Have the brokers take that password: millrace restart Provision/Kafka',
      },
    );
  }
  try {
    if (admitted !== NONE || reply === undefined) throw new RangeError('a reply is missing');
    return read(reply);
  } catch (cause) {
    throw new MillraceError('ERR_NOT_READY', `port ${port} does not answer as Kafka does`, { cause });
  }
}

/** A request: length, header (key, version, correlation, client), body. */
function encode({ key, version, body }: Omit<Request<never>, 'read'>): Buffer {
  const name = Buffer.from(CLIENT);
  // Replies come in the order of the requests, so that all may have one correlation.
  const rest = Buffer.concat([int16(key), int16(version), int32(1), int16(name.length), name, body]);
  return Buffer.concat([int32(rest.length), rest]);
}

/** The replies that are whole, each with its length first. What no broker sends is a reply that says nothing. */
function splitReplies(answer: Buffer): readonly Buffer[] {
  const replies: Buffer[] = [];
  for (let at = 0; replies.length < REPLIES && at + 4 <= answer.length; ) {
    const end = at + 4 + Math.max(0, answer.readInt32BE(at));
    if (end > answer.length) break;
    replies.push(answer.subarray(at, end));
    at = end;
  }
  return replies;
}

/** What the reply to a handshake or a login begins with, after length and correlation; undefined for no such reply. */
function codeOf(reply: Buffer | undefined): number | undefined {
  return reply === undefined || reply.length < 10 ? undefined : reply.readInt16BE(8);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** Reads what the protocol puts in this order; running past the end throws. */
function readMetadata(reply: Buffer): ClusterAnswer {
  // Length, correlation, throttle time.
  let at = 12;
  const advance = (count: number) => {
    at += count;
    return at - count;
  };
  const int32 = () => reply.readInt32BE(advance(4));
  const text = () => {
    const length = reply.readInt16BE(advance(2));
    const from = advance(Math.max(0, length));
    return reply.toString('utf8', from, at);
  };
  const count = int32();
  const brokers: number[] = [];
  for (let index = 0; index < count; index++) {
    brokers.push(int32());
    text();
    int32();
    text();
  }
  return { clusterId: text(), brokers: brokers.sort((left, right) => left - right) };
}
