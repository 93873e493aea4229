import { createHash } from 'node:crypto';
import { MillraceError } from '../../core/errors.ts';
import type { Mark, MarkKey, MarkSpace } from '../../core/job.ts';
import type { Sighting, StateStore } from '../../core/ports.ts';
import { formatSource, parseSource } from '../../core/record.ts';
import { isOwn, isSeenElsewhere } from '../../core/sighting.ts';
import {
  connectRedis,
  defineScript,
  type RedisAddress,
  type RedisCommand,
} from '../redis/redis-connection.ts';

/** What the store needs. */
export interface RedisStateOptions extends RedisAddress {
  /** A database of its own for each space: their keys are bare ids. */
  readonly databases: Readonly<Record<MarkSpace, number>>;
  /** How long a mark lives by the events' times, ms. */
  readonly ttlMs: number;
  /** How much longer Redis keeps it, by the clock, ms: how far the jobs may lag. */
  readonly graceMs: number;
}

/** First sightings that processes on several machines share. */
export interface RedisState extends StateStore {
  /** Keys in the databases of the marks, those of other programs included. */
  count(): Promise<number>;
}

/** What a value says that another program wrote. */
const SEEN_ELSEWHERE: Sighting = { source: null, expiresAtMs: Number.POSITIVE_INFINITY };
/** Longer keys are kept as their digest: a sender does not decide how much memory a mark takes. */
const KEY_LENGTH_MAX = 512;

/**
 * Sets all the marks, or none: where a key is held by another value than the one expected, it answers the indexes
 * (from 1) and values of all that are held, and changes nothing. Most keys are new, so each is set where it is not
 * there; where one is, what was set before it is taken back. Calls are what a script costs: this is one for a key.
 *
 * KEYS: by database. ARGV: lifetime, number of databases, each database with its count of keys, a value for each
 * key, then index and expected value by turns.
 */
const SET_ALL = defineScript(`
local databases = tonumber(ARGV[2])
local base = 2 + 2 * databases
local expected = {}
for i = base + #KEYS + 1, #ARGV, 2 do expected[tonumber(ARGV[i])] = ARGV[i + 1] end
local function each(visit)
  local at = 0
  for d = 1, databases do
    redis.call('SELECT', ARGV[1 + 2 * d])
    for _ = 1, tonumber(ARGV[2 + 2 * d]) do
      at = at + 1
      visit(at)
    end
  end
end
local held, failure, isSet = {}, nil, {}
local function look(at)
  local value = redis.pcall('GET', KEYS[at])
  if type(value) == 'table' then
    failure = value
  elseif value and value ~= expected[at] then
    held[#held + 1] = at
    held[#held + 1] = value
  end
end
each(function(at)
  if expected[at] then
    look(at)
  elseif redis.call('SET', KEYS[at], ARGV[base + at], 'PX', ARGV[1], 'NX') then
    isSet[at] = true
  else
    look(at)
  end
end)
if failure or #held > 0 then
  each(function(at) if isSet[at] then redis.call('DEL', KEYS[at]) end end)
elseif #ARGV > base + #KEYS then
  each(function(at) if expected[at] then redis.call('SET', KEYS[at], ARGV[base + at], 'PX', ARGV[1]) end end)
end
return failure or held`);

/**
 * Opens the marks in Redis: databases and keys of the pipeline this one stands in for, so that its Redis can be
 * taken over and shared. A value is `<topic>:<partition>:<offset>:<index> <time ms>` of the first sighting, followed
 * by those of the one whose place it took where that had run out; any other value (that pipeline writes empty ones)
 * means seen elsewhere, for as long as Redis keeps it.
 *
 * Throws ERR_CONFIG_INVALID where two spaces share a database, and what {@link connectRedis} throws.
 */
export async function openRedisState(options: RedisStateOptions): Promise<RedisState> {
  checkDatabases(options.databases);
  const redis = await connectRedis(options);
  const lifetimeMs = String(options.ttlMs + options.graceMs);

  /** Index of a group → what its key holds; empty where all were set. */
  async function setAll(groups: readonly MarkGroup[], changes: ReadonlyMap<number, Change>) {
    const counts = new Map<number, number>();
    for (const { database } of groups) counts.set(database, (counts.get(database) ?? 0) + 1);
    const reply = await redis.run(
      SET_ALL,
      groups.map(({ key }) => key),
      [
        lifetimeMs,
        String(counts.size),
        ...[...counts].flat().map(String),
        ...groups.map((group, index) => changes.get(index)?.to ?? group.value),
        ...[...changes].flatMap(([index, { from }]) => [String(index + 1), from]),
      ],
    );
    const held = reply as readonly (number | string)[];
    const found = new Map<number, string>();
    for (let i = 0; i < held.length; i += 2) found.set(Number(held[i]) - 1, String(held[i + 1]));
    return found;
  }

  return {
    async seen(keys) {
      const { commands, places } = planReads(keys, options.databases);
      const replies = await redis.send(commands);
      return places.map(([command, index]) => {
        const values = replies[command] as readonly (string | null)[];
        return parseMark(values[index] ?? null, options.ttlMs);
      });
    },
    async mark(marks) {
      if (marks.length === 0) return null;
      const groups = groupMarks(marks, options);
      const changes = new Map<number, Change>();
      // Ends: each turn meets at least one key that another process changed since the turn before.
      while (true) {
        const held = await setAll(groups, changes);
        if (held.size === 0) return null;
        for (const [index, from] of held) {
          const to = addMarks(from, groups[index]!.marks, options.ttlMs);
          if (to === null) return 'conflict';
          changes.set(index, { from, to });
        }
      }
    },
    async committed() {},
    async count() {
      const databases = Object.values(options.databases);
      const replies = await redis.send(
        databases.flatMap(database => [['select', database], ['dbsize']] as const),
      );
      return replies.reduce((sum: number, reply) => sum + (typeof reply === 'number' ? reply : 0), 0);
    },
    close: () => redis.close(),
  };
}

/** The marks of one key in one batch: more than one where the first ran out within it. */
interface MarkGroup {
  readonly database: number;
  readonly key: string;
  readonly marks: Mark[];
  /** What the key holds with them where it held nothing. */
  value: string;
}

/** What a key is expected to hold, and what it shall hold. */
interface Change {
  readonly from: string;
  readonly to: string;
}

/** Groups in the order of their databases. */
function groupMarks(marks: readonly Mark[], { databases, ttlMs }: RedisStateOptions): readonly MarkGroup[] {
  const byDatabase = new Map<number, Map<string, MarkGroup>>();
  for (const mark of marks) {
    const database = databases[mark.space];
    const key = keyOf(mark);
    const groups = byDatabase.get(database) ?? new Map<string, MarkGroup>();
    byDatabase.set(database, groups);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, { database, key, marks: [mark], value: formatMark(mark) });
      continue;
    }
    group.value = addMarks(group.value, [mark], ttlMs) ?? group.value;
    group.marks.push(mark);
  }
  return [...byDatabase.values()].flatMap(groups => [...groups.values()]);
}

/** A value with the marks added; null where it says that one of their events was seen elsewhere. */
function addMarks(value: string, marks: readonly Mark[], ttlMs: number): string | null {
  let held = value;
  for (const mark of marks) {
    const sighting = parseMark(held, ttlMs);
    if (isOwn(sighting, mark.source)) continue;
    if (isSeenElsewhere(sighting, mark.source, mark.timeMs)) return null;
    const hasRunOut = sighting !== undefined && mark.timeMs >= sighting.expiresAtMs;
    held = hasRunOut ? `${formatMark(mark)} ${held.split(' ', 2).join(' ')}` : formatMark(mark);
  }
  return held;
}

/** One SELECT and one MGET for each database; `places`: for each key which reply holds its value, and where. */
function planReads(keys: readonly MarkKey[], databases: RedisStateOptions['databases']) {
  const wanted = new Map<number, string[]>();
  const found = keys.map(key => {
    const database = databases[key.space];
    const names = wanted.get(database) ?? [];
    wanted.set(database, names);
    return [database, names.push(keyOf(key)) - 1] as const;
  });
  const order = [...wanted.keys()];
  const commands: RedisCommand[] = [...wanted].flatMap(([database, names]): RedisCommand[] => [
    ['select', database],
    ['mget', ...names],
  ]);
  const places = found.map(([database, index]) => [order.indexOf(database) * 2 + 1, index] as const);
  return { commands, places };
}

function keyOf({ key }: MarkKey): string {
  if (key.length <= KEY_LENGTH_MAX) return key;
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}

function formatMark({ source, timeMs }: Mark): string {
  return `${formatSource(source)} ${timeMs}`;
}

function parseMark(text: string | null, ttlMs: number): Sighting | undefined {
  if (text === null) return undefined;
  const [place, time, ...before] = text.split(' ');
  const source = parseSource(place);
  const timeMs = Number(time);
  if (source === undefined || Number.isNaN(timeMs)) return SEEN_ELSEWHERE;
  const sighting = { source, expiresAtMs: timeMs + ttlMs };
  const earlier = before.length === 0 ? undefined : parseMark(before.join(' '), ttlMs);
  return earlier === undefined ? sighting : { ...sighting, before: earlier };
}

function checkDatabases(databases: RedisStateOptions['databases']): void {
  const numbers = Object.values(databases);
  if (new Set(numbers).size === numbers.length) return;
  throw new MillraceError('ERR_CONFIG_INVALID', `two spaces of first sightings share a database of Redis`, {
    remedy: 'Give redis.batchDatabase, eventDatabase, routeDatabase and summaryDatabase different numbers.',
  });
}
