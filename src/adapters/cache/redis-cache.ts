import { randomUUID } from 'node:crypto';
import { isObject, type Json, type JsonObject } from '../../core/event.ts';
import type { CacheKey, Dataset } from '../../core/job.ts';
import type { Cache } from '../../core/ports.ts';
import type { Logger } from '../../observability/logger.ts';
import {
  connectRedis,
  type RedisAddress,
  type RedisCommand,
  type RedisConnection,
} from '../redis/redis-connection.ts';
import { redisError } from '../redis/redis-error.ts';
import { type HeldRow, RowMemory } from './row-memory.ts';

/** What the cache needs. */
export interface RedisCacheOptions extends RedisAddress {
  readonly databases: Readonly<Record<Dataset, number>>;
  /** Bounds of the rows held in memory. */
  readonly limits: { readonly rowsMax: number; readonly bytesMax: number };
  /** How long another program's change may go unseen, ms; {@link HELD_MS_MAX} where absent. */
  readonly heldMsMax?: number;
  readonly logger: Logger;
}

/** Changes with every `put`. It stands apart from the rows, whose databases other programs walk through. */
const VERSION_DATABASE = 0;
const VERSION_KEY = 'millrace:rows-version';
const READ_VERSION: readonly RedisCommand[] = [
  ['select', VERSION_DATABASE],
  ['get', VERSION_KEY],
];
const HELD_MS_MAX = 5_000;

/** How a dataset lies in Redis; databases, keys and formats are those of the pipeline this one stands in for. */
interface Format {
  /** Put before the bare id. */
  readonly prefix: string;
  /** `hash`: a field's text, or the JSON text of what is no text; `json`: one text. */
  readonly type: 'hash' | 'json';
}

const FORMATS: Readonly<Record<Dataset, Format>> = {
  device: { prefix: '', type: 'hash' },
  user: { prefix: 'user:', type: 'hash' },
  content: { prefix: '', type: 'json' },
  dialcode: { prefix: '', type: 'json' },
};

/**
 * Opens the master data in Redis. A `get` is one round trip that reads the version with the rows it does not hold;
 * only where the version moved since the last one, a second trip reads the others. So a row is seen by every `get`
 * that begins after its `put` resolved, in any process; what other programs write is seen within `heldMsMax`.
 *
 * A hash holds text: a number that was put comes back as its text, a null field and a row without fields not at all.
 * Rows are shared between callers and must not be changed. Throws what {@link connectRedis} throws.
 */
export async function openRedisCache(options: RedisCacheOptions): Promise<Cache> {
  const redis = await connectRedis(options);
  const memory = new RowMemory(options.limits);
  const heldMsMax = options.heldMsMax ?? HELD_MS_MAX;
  let heldVersion: unknown = null;
  let clearedAtMs = performance.now();

  function clear(version: unknown): void {
    memory.clear();
    heldVersion = version;
    clearedAtMs = performance.now();
  }

  /** Reads rows with the version, adds them to `found`, and keeps them where the version is still the held one. */
  async function readRows(keys: readonly CacheKey[], found: Map<string, JsonObject | undefined>) {
    const { version, rows, unreadable } = await fetchRows(redis, keys, options.databases);
    if (unreadable.length > 0) {
      const [{ dataset, key }] = unreadable as [CacheKey];
      const fields = { dataset, key, count: unreadable.length };
      options.logger.warn(fields, 'master data unreadable, taken for missing');
    }
    if (version !== heldVersion) clear(version);
    for (const [name, held] of rows) {
      found.set(name, held.row);
      memory.keep(name, held);
    }
    return version;
  }

  return {
    async get(keys) {
      if (performance.now() - clearedAtMs >= heldMsMax) clear(heldVersion);
      // Another call may move it on before the reply is here; what is taken from memory now is of this one.
      const asOf = heldVersion;
      const found = new Map<string, JsonObject | undefined>();
      const held: CacheKey[] = [];
      const missing: CacheKey[] = [];
      for (const key of keys) {
        const name = memoryKey(key);
        if (found.has(name)) continue;
        const known = memory.find(name);
        found.set(name, known?.row);
        (known === undefined ? missing : held).push(key);
      }
      const version = await readRows(missing, found);
      if (version !== asOf && held.length > 0) await readRows(held, found);
      return keys.map(key => found.get(memoryKey(key)));
    },
    async put(dataset, rows) {
      const { prefix, type } = FORMATS[dataset];
      const replies = await redis.send([
        ['multi'],
        ['select', options.databases[dataset]],
        ...rows.flatMap(({ key, value }) => writeRow(prefix + key, value, type)),
        ['select', VERSION_DATABASE],
        ['set', VERSION_KEY, randomUUID()],
        ['exec'],
      ]);
      const refusal = (replies.at(-1) as readonly unknown[]).find(reply => reply instanceof Error);
      if (refusal !== undefined) throw redisError(refusal, `${options.host}:${options.port}`);
    },
    close: () => redis.close(),
  };
}

/** Rows of Redis by their memory key, those that are not there too; and the version as it was before they were read. */
async function fetchRows(
  redis: RedisConnection,
  keys: readonly CacheKey[],
  databases: RedisCacheOptions['databases'],
) {
  const commands = [...READ_VERSION];
  const reads: { readonly keys: readonly CacheKey[]; readonly reply: number }[] = [];
  for (const [dataset, wanted] of byDataset(keys)) {
    const { prefix, type } = FORMATS[dataset];
    commands.push(['select', databases[dataset]]);
    if (type === 'json') {
      reads.push({ keys: wanted, reply: commands.length });
      commands.push(['mget', ...wanted.map(({ key }) => prefix + key)]);
      continue;
    }
    for (const key of wanted) {
      reads.push({ keys: [key], reply: commands.length });
      commands.push(['hgetall', prefix + key.key]);
    }
  }
  const replies = await redis.send(commands);
  const rows = new Map<string, HeldRow>();
  const unreadable: CacheKey[] = [];
  for (const read of reads) {
    const reply = replies[read.reply];
    for (const [index, key] of read.keys.entries()) {
      const held =
        FORMATS[key.dataset].type === 'json' ? parseText((reply as unknown[])[index]) : parseHash(reply);
      if (held === undefined) unreadable.push(key);
      const name = memoryKey(key);
      rows.set(name, { row: held?.row, sizeBytes: name.length + (held?.sizeBytes ?? 0) });
    }
  }
  return { version: replies[1], rows, unreadable };
}

function byDataset(keys: readonly CacheKey[]): ReadonlyMap<Dataset, readonly CacheKey[]> {
  const groups = new Map<Dataset, CacheKey[]>();
  for (const key of keys) {
    const group = groups.get(key.dataset);
    if (group === undefined) groups.set(key.dataset, [key]);
    else group.push(key);
  }
  return groups;
}

/** A JSON text as a row; undefined where it is something else. */
function parseText(text: unknown): HeldRow | undefined {
  if (typeof text !== 'string') return { row: undefined, sizeBytes: 0 };
  try {
    const row: unknown = JSON.parse(text);
    return isObject(row) ? { row, sizeBytes: text.length } : undefined;
  } catch {
    return undefined;
  }
}

/** The fields of a hash as a row; undefined where the key holds another type. */
function parseHash(reply: unknown): HeldRow | undefined {
  if (reply instanceof Error) return undefined;
  const row = reply as Readonly<Record<string, string>>;
  let sizeBytes = 0;
  for (const field in row) sizeBytes += field.length + row[field]!.length;
  return sizeBytes === 0 ? { row: undefined, sizeBytes } : { row, sizeBytes };
}

/** Replaces a row. */
function writeRow(key: string, row: JsonObject, type: Format['type']): readonly RedisCommand[] {
  if (type === 'json') return [['set', key, JSON.stringify(row)]];
  const fields = Object.entries(row).flatMap(([field, value]) =>
    value == null ? [] : [field, hashText(value)],
  );
  return fields.length === 0
    ? [['del', key]]
    : [
        ['del', key],
        ['hset', key, ...fields],
      ];
}

/** Texts stand as they are, escaped or JSON: whoever loads a hash means what a hash holds. */
function hashText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function memoryKey(key: CacheKey): string {
  return `${key.dataset}\0${key.key}`;
}
