import { randomUUID } from 'node:crypto';
import { MillraceError } from '../../core/errors.ts';
import type { StoreCheck, StoreFinding } from '../../core/store-check.ts';
import {
  connectRedis,
  type RedisAddress,
  type RedisCommand,
  type RedisConnection,
} from './redis-connection.ts';
import { isReply } from './redis-error.ts';

/** What is to be kept there. */
export interface RedisCheckOptions extends RedisAddress {
  /** Databases of first sightings; none where Redis keeps no marks. */
  readonly markDatabases: readonly number[];
  /** Databases of master data; none where it lies elsewhere. */
  readonly rowDatabases: readonly number[];
}

/** The oldest version that the adapters are tested with. */
const VERSION_MIN = [7, 0] as const;
/** What setting marks does, on a key that has expired already: the look at it takes it away, so it is never counted. */
const TRY_MARK = `
redis.call('SELECT', ARGV[1])
redis.call('SET', KEYS[1], '', 'PXAT', 1)
return redis.call('GET', KEYS[1])`;

/**
 * Looks at a Redis before it is relied on: its version, whether it may forget marks or lose them with its power, and
 * whether the user may do all that the adapters do, tried on a key that nobody else sees. Throws what
 * {@link connectRedis} throws; everything else is a finding.
 */
export async function checkRedis(options: RedisCheckOptions): Promise<StoreCheck> {
  const redis = await connectRedis(options);
  try {
    const info = await readInfo(redis);
    const isUnread = info instanceof MillraceError;
    const ofInfo = isUnread ? [unread(info)] : findingsOf(info, options.markDatabases.length > 0);
    const isSynced = options.markDatabases.length > 0 && !isUnread && info.get('aof_enabled') === '1';
    const ofSync = isSynced ? await findingsOfSync(redis) : [];
    const ofUser = options.markDatabases.length > 0 ? await findingsOfDefaultUser(redis) : [];
    const findings = [...ofInfo, ...ofSync, ...ofUser, ...(await tryCalls(redis, options))];
    return {
      version: isUnread ? 'unknown' : versionOf(info),
      findings: findings.toSorted((a, b) => a.severity.localeCompare(b.severity)),
    };
  } finally {
    await redis.close();
  }
}

type Info = ReadonlyMap<string, string>;

async function readInfo(redis: RedisConnection): Promise<Info | MillraceError> {
  try {
    const [text] = await redis.send([['info']]);
    return new Map(
      [...String(text).matchAll(/^([a-z0-9_]+):(.*?)\r?$/gm)].map(([, name, value]) => [name!, value!]),
    );
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_STORE_RIGHTS') return error;
    throw error;
  }
}

function unread(error: MillraceError): StoreFinding {
  return {
    code: error.code,
    severity: 'warning',
    problem: `version, eviction and persistence cannot be checked: ${error.why}`,
    remedy: 'Grant the user +info.',
  };
}

function versionOf(info: Info): string {
  const valkey = info.get('valkey_version');
  return valkey === undefined ? `Redis ${info.get('redis_version')}` : `Valkey ${valkey}`;
}

function findingsOf(info: Info, holdsMarks: boolean): readonly StoreFinding[] {
  const findings: StoreFinding[] = [];
  const add = (severity: StoreFinding['severity'], problem: string, remedy: string) =>
    findings.push({ code: 'ERR_NOT_READY', severity, problem, remedy });
  const [major = 0, minor = 0] = (info.get('redis_version') ?? '').split('.').map(Number);
  if (major < VERSION_MIN[0] || (major === VERSION_MIN[0] && minor < VERSION_MIN[1])) {
    add(
      'error',
      `${versionOf(info)} is older than ${VERSION_MIN.join('.')}`,
      'Upgrade Redis, or use Valkey.',
    );
  }
  if (info.get('redis_mode') === 'cluster') {
    add('error', 'it is a Redis Cluster, which has one database only', 'Use a Redis that is no cluster.');
  }
  const policy = info.get('maxmemory_policy');
  if (policy !== 'noeviction') {
    const forgets = `maxmemory-policy is ${policy}: when memory runs out Redis forgets`;
    if (holdsMarks) {
      add('error', `${forgets} marks, and duplicates pass`, 'Set maxmemory-policy noeviction.');
    } else {
      add(
        'warning',
        `${forgets} master data`,
        'Set maxmemory-policy noeviction, or load the rows again then.',
      );
    }
  }
  if (info.get('aof_enabled') !== '1') {
    const lost = holdsMarks
      ? 'a restart forgets marks, and duplicates pass'
      : 'a restart forgets master data';
    add('warning', `appendonly is off: ${lost}`, 'Set appendonly yes.');
  }
  return findings;
}

/**
 * INFO does not tell how often the append-only file is synced. CONFIG GET is often forbidden, or renamed, and shows
 * passwords to whoever may: so a user without it is a note, and is not told to get the right.
 */
async function findingsOfSync(redis: RedisConnection): Promise<readonly StoreFinding[]> {
  const policy = await readSyncPolicy(redis);
  if (policy === 'always') return [];
  if (policy === undefined) {
    const problem = 'appendfsync could not be read: its user may not run CONFIG GET';
    const remedy = 'See to it that it is always: redis-cli CONFIG GET appendfsync, as its administrator.';
    return [{ code: 'ERR_NOT_READY', severity: 'note', problem, remedy }];
  }
  const span = policy === 'everysec' ? 'the marks of its last 2 s' : 'marks of its last half minute or more';
  const problem = `appendfsync is ${policy}: a power failure may forget ${span}, and duplicates pass`;
  return [{ code: 'ERR_NOT_READY', severity: 'warning', problem, remedy: 'Set appendfsync always.' }];
}

async function readSyncPolicy(redis: RedisConnection): Promise<string | undefined> {
  try {
    const [reply] = await redis.send([['config', 'get', 'appendfsync']]);
    const [, policy] = reply as readonly unknown[];
    return policy === undefined ? undefined : String(policy);
  } catch (error) {
    if (error instanceof MillraceError && isReply(error.cause)) return undefined;
    throw error;
  }
}

/**
 * Redis runs its append-only file as the user `default`, and drops the transactions that this user may not run: the
 * marks. Who may not look at users is told nothing; most users may not.
 */
async function findingsOfDefaultUser(redis: RedisConnection): Promise<readonly StoreFinding[]> {
  try {
    const [reply] = await redis.send([['acl', 'getuser', 'default']]);
    const fields = reply as readonly unknown[];
    const commands = String(fields[fields.indexOf('commands') + 1]);
    if (commands === '+@all') return [];
    const problem = `the user default may run "${commands}": a restart may forget marks, and duplicates pass`;
    const remedy = 'Give it its rights back, off or on: ACL SETUSER default ~* &* +@all.';
    return [{ code: 'ERR_NOT_READY', severity: 'warning', problem, remedy }];
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_STORE_RIGHTS') return [];
    throw error;
  }
}

/**
 * Tries each kind of call that the adapters make. What the server refuses, for want of a right, room or a database
 * of that number, is a finding.
 */
async function tryCalls(
  redis: RedisConnection,
  options: RedisCheckOptions,
): Promise<readonly StoreFinding[]> {
  const findings = new Map<string, StoreFinding>();
  for (const commands of callsOf(options, `millrace:check:${randomUUID()}`)) {
    try {
      await redis.send(commands);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      const problem = `${error.message}: ${error.why}`;
      findings.set(problem, { code: error.code, severity: 'error', problem, remedy: error.remedy });
    }
  }
  return [...findings.values()];
}

function callsOf(options: RedisCheckOptions, key: string): readonly (readonly RedisCommand[])[] {
  const { markDatabases, rowDatabases } = options;
  const reads: RedisCommand[][] = [...markDatabases, ...rowDatabases].map(database => [
    ['select', database],
    ['mget', key],
  ]);
  const marks: RedisCommand[][] = markDatabases
    .slice(0, 1)
    .flatMap(database => [[['eval', TRY_MARK, 1, key, database]], [['select', database], ['dbsize']]]);
  // Last: where EXEC is refused the connection is left inside the transaction.
  const rows: RedisCommand[][] = rowDatabases.slice(0, 1).flatMap(database => [
    [
      ['select', database],
      ['hgetall', key],
    ],
    [
      ['select', database],
      ['multi'],
      ['set', key, ''],
      ['del', key],
      ['hset', key, 'a', ''],
      ['del', key],
      ['exec'],
    ],
  ]);
  return [...reads, ...marks, ...rows];
}
