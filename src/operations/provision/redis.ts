import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { locateDebian } from './debian-packages.ts';
import {
  filePart,
  folderPart,
  type ManagedFile,
  readSecret,
  secretPart,
  secretTextFile,
} from './managed-file.ts';
import { untilAnswered } from './ready.ts';
import { READY_MS_MAX, type Server, type ServerContext } from './server.ts';
import { processPart, type ServerProcess } from './server-process.ts';

const PROGRAM = 'usr/bin/redis-server';
const SOFTWARE = {
  name: 'redis',
  // After the two that hold the programs, the libraries that a plain system lacks.
  packages: [
    'redis-server',
    'redis-tools',
    'libjemalloc2',
    'liblzf1',
    'liblua5.1-0',
    'libhiredis0.14',
    'lua-bitop',
    'lua-cjson',
  ],
  program: PROGRAM,
};
const NAME = 'redis';
const ANSWER_MS_MAX = 5_000;
/** `SET key value NX GET` came with 7.0: the marks of the state need it. */
const MAJOR_MIN = 7;
/**
 * What the pipeline does, and no more: keys are read and written, scripts run, INFO tells whether it is loading
 * and what it would evict. Later rules win, so INFO comes after the group that it belongs to.
 */
const RIGHTS = '~* -@all +@read +@write +@connection +@transaction -@dangerous +eval +evalsha +info';

/** Redis on a host: Debian's 7.0, loopback, an ACL user of its own, append-only file synced with each write. */
export async function redisServer({ host, place, config }: ServerContext): Promise<Server> {
  const folder = join(place.root, 'servers', NAME);
  const port = place.ports.portOf('redis');
  const user = config['redis.username'] || 'millrace';
  const secretFile = join(place.root, 'secrets', NAME);
  const software = await locateDebian(host, place.cache, SOFTWARE);
  const users = secretTextFile(
    {
      step: 'users',
      what: 'write the users of Redis and their rights',
      path: join(folder, 'users.acl'),
    },
    secretFile,
    secret => usersText(user, secret),
  );
  const settings: ManagedFile = {
    step: 'config',
    what: 'write the configuration of Redis',
    path: join(folder, 'redis.conf'),
    rights: { mode: 0o600 },
    content: async () => configText(port, { data: join(folder, 'data'), users: users.path }),
  };
  const process: ServerProcess = {
    spec: {
      name: NAME,
      argv: [software.pathOf(PROGRAM), settings.path],
      cwd: folder,
      env: software.env,
      logFile: join(folder, 'redis.log'),
      stopSignal: 'SIGTERM',
      stopMsMax: 10_000,
    },
    files: [settings, users],
    ports: [port],
  };
  const verify = (from: Host, msMax = READY_MS_MAX, signal?: AbortSignal) =>
    untilAnswered(from, { processes: [NAME], deadlineMs: msMax, ...(signal && { signal }) }, async () =>
      describe(await ask(from, port, { user, secretFile }), port),
    );
  return {
    name: NAME,
    parts: [
      ...software.parts,
      folderPart('folder', join(folder, 'data'), { mode: 0o700 }),
      secretPart('secret', `draw the password of ${user}`, secretFile),
      filePart(users),
      filePart(settings),
      processPart(
        'Redis',
        [process],
        async (from, _, signal) => void (await verify(from, undefined, signal)),
      ),
    ],
    processes: [NAME],
    folder,
    data: [join(folder, 'data')],
    secrets: [{ name: NAME, file: secretFile, made: [], usedBy: NAME, isServedWith: true }],
    verify,
    bindings: {
      'redis.host': '127.0.0.1',
      'redis.port': port,
      'redis.tls': false,
      'redis.username': user,
      'redis.password': `file:${secretFile}`,
    },
  };
}

function configText(port: number, paths: { readonly data: string; readonly users: string }): string {
  return [
    '# Written by millrace: edits are undone by the next run.',
    'bind 127.0.0.1',
    `port ${port}`,
    'protected-mode yes',
    `aclfile ${quote(paths.users)}`,
    `dir ${quote(paths.data)}`,
    // Marks must survive a crash: with everysec, what was answered may wait in memory behind a sync for up to 2 s.
    'appendonly yes',
    'appendfsync always',
    // A rewrite takes a quarter of what Redis does meanwhile; from 64 MB on one came with each 250,000 events.
    'auto-aof-rewrite-min-size 256mb',
    'save ""',
    // A mark that was evicted would let a duplicate pass: writes are refused instead, and the pipeline waits.
    'maxmemory-policy noeviction',
    'daemonize no',
    'logfile ""',
    '',
  ].join('\n');
}

/**
 * The default user is off, so nobody can be it; it keeps its rights because Redis reads its append-only file as that
 * user, and drops every transaction in it, all marks, where the user may not run it (redis/redis 14541). The file holds
 * a digest of the password, so that reading it tells nothing.
 */
function usersText(user: string, secret: string): string {
  const digest = createHash('sha256').update(secret).digest('hex');
  return `user default off ~* &* +@all\nuser ${user} on #${digest} ${RIGHTS}\n`;
}

/** Redis reads a quoted word as C does. */
function quote(path: string): string {
  return `"${path.replace(/["\\]/g, '\\$&')}"`;
}

async function ask(
  host: Host,
  port: number,
  login: { readonly user: string; readonly secretFile: string },
): Promise<string> {
  const secret = await readSecret(host, login.secretFile);
  const commands = [['AUTH', login.user, secret ?? ''], ['INFO', 'everything'], ['PING']];
  const reply = await host.ask(port, Buffer.from(commands.map(encodeCommand).join('')), {
    timeoutMs: ANSWER_MS_MAX,
    isWhole: bytes => /(?:\+PONG|-[A-Z]+ [^\r\n]*)\r\n$/.test(Buffer.from(bytes).toString('latin1')),
  });
  const text = Buffer.from(reply).toString('utf8');
  if (text.endsWith('+PONG\r\n')) return text;
  // LOADING is one of these, and passes by itself.
  const refusal = /^-([^\r\n]*)/m.exec(text)?.[1] ?? 'no answer';
  throw new MillraceError('ERR_NOT_READY', `Redis says ${refusal}`);
}

function encodeCommand(words: readonly string[]): string {
  const bulks = words.map(word => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${bulks.join('')}`;
}

/** Throws where what answers is not what was configured: another version, or settings changed at run time. */
function describe(info: string, port: number): string {
  const field = (name: string) => new RegExp(`^${name}:(.*)\r$`, 'm').exec(info)?.[1] ?? '';
  const version = field('redis_version');
  const found = [field('aof_enabled'), field('maxmemory_policy')].join(' ');
  if (Number.parseInt(version, 10) < MAJOR_MIN || found !== '1 noeviction') {
    throw new MillraceError(
      'ERR_NOT_READY',
      `Redis ${version} answers with aof_enabled and maxmemory_policy ${found}, not 7.0 or newer with 1 noeviction`,
    );
  }
  return `Redis ${version} on 127.0.0.1:${port}`;
}
