import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../../src/core/event.ts';
import { ROOT } from './millrace.ts';

const FOLDER = join(process.env['MILLRACE_SHARED_DATA'] ?? join(ROOT, '../shared/data'), 'golden');

/** Counts of the reproduced F2 column; topics between fused jobs are counted, not stored. */
export const GOLDEN_COUNTS: Readonly<Record<string, number>> = {
  'telemetry.ingest': 3,
  'telemetry.raw': 19,
  'telemetry.extractor.duplicate': 1,
  'telemetry.extractor.failed': 0,
  'telemetry.assess.raw': 2,
  'telemetry.failed': 3,
  'telemetry.duplicate': 3,
  'telemetry.audit': 1,
  'druid.events.log': 3,
  'telemetry.error': 1,
  'druid.events.error': 1,
  'telemetry.unique': 17,
  'telemetry.unique.primary': 10,
  'telemetry.unique.secondary': 7,
  'telemetry.denorm': 15,
  'druid.events.telemetry': 13,
  'druid.events.summary': 0,
};

/** Why the golden tests cannot run, or false. */
export const goldenMissing = existsSync(FOLDER)
  ? false
  : 'needs the golden data of the original: set MILLRACE_SHARED_DATA to its folder';

/** Path of a golden file. */
export const goldenPath = (name: string): string => join(FOLDER, name);

/**
 * The lookup fixtures by dataset, from the file of Redis commands. Its one HMSET lacks the value of
 * `state_code`; an empty text goes there, as the expected device data asks for.
 */
export function goldenCache(): Record<
  'device' | 'user' | 'content' | 'dialcode',
  { key: string; value: JsonObject }[]
> {
  const rows = { device: [], user: [], content: [], dialcode: [] } as ReturnType<typeof goldenCache>;
  for (const line of readFileSync(goldenPath('redis_test_data.txt'), 'utf8').split('\n')) {
    const match = /^(SET|HMSET) (\S+) (.*)$/.exec(line.trim());
    if (match === null) continue;
    const [, command, key, rest] = match;
    const words = [...rest!.matchAll(/"(?:[^"\\]|\\.)*"/g)].map(([word]) => JSON.parse(word) as string);
    if (command === 'HMSET') rows.device.push({ key: key!, value: fieldsOf(words) });
    else rows[datasetOf(key!)].push({ key: key!, value: JSON.parse(words[0]!) as JsonObject });
  }
  return rows;
}

function datasetOf(key: string): 'user' | 'content' | 'dialcode' {
  if (key.length === 36) return 'user';
  return /^[A-Z0-9]{6}$/.test(key) ? 'dialcode' : 'content';
}

function fieldsOf(words: readonly string[]): JsonObject {
  const at = words.indexOf('state_code') + 1;
  const whole = [...words.slice(0, at), '', ...words.slice(at)];
  const fields: Record<string, string> = {};
  for (let i = 0; i < whole.length; i += 2) fields[whole[i]!] = whole[i + 1]!;
  return fields;
}

/**
 * Months of `denormalise.expiryMonths` that put the border between the event of January 2020 and those of
 * April 2020, counted from a moment.
 */
export function monthsSinceFebruary2020(nowMs: number): number {
  const now = new Date(nowMs);
  return (now.getUTCFullYear() - 2020) * 12 + now.getUTCMonth() - 1;
}
