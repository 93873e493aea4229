import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { EventFilter, EventOutcome, EventRow, EventsDocument } from '../../src/core/documents.ts';
import { headersOf } from '../../src/core/headers.ts';
import type { TableReader } from '../../src/core/ports.ts';
import { tableRowsOf } from '../../src/runtime/tables/table-rows.ts';
import { ENVIRONMENT, logRecord, NOW_MS } from './setting.ts';

const TOPICS = {
  emit: 'druid.events.telemetry',
  reject: 'telemetry.failed',
  drop: 'telemetry.dropped',
  duplicate: 'telemetry.duplicate',
} as const;
const OUTCOMES = Object.keys(TOPICS) as (keyof typeof TOPICS)[];

/** An event as it is put in, few values each so that filters match some. */
export const event: fc.Arbitrary<Given> = fc.record({
  outcome: fc.constantFrom(...OUTCOMES),
  receivedAtMs: fc.integer({ min: NOW_MS, max: NOW_MS + 5 }),
  eid: fc.constantFrom('START', 'END'),
  mid: fc.constantFrom('m1', 'm2', 'm3'),
  did: fc.constantFrom('d1', 'd2'),
  channel: fc.constantFrom('c1', 'c2'),
  user: fc.constantFrom('u1', 'u2'),
});

/** What the model knows of an event. */
export interface Given {
  readonly outcome: EventOutcome;
  readonly receivedAtMs: number;
  readonly eid: string;
  readonly mid: string;
  readonly did: string;
  readonly channel: string;
  readonly user: string;
}

const optional = <T>(values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
/** What may be asked for; `nil` members are not asked. */
export const filter = fc.record({
  outcome: optional(OUTCOMES),
  mid: optional(['m1', 'none']),
  did: optional(['d1']),
  channel: optional(['c1']),
  eid: optional(['START']),
  user: optional(['u1']),
  fromMs: optional([NOW_MS + 1]),
  toMs: optional([NOW_MS + 4]),
  limit: fc.integer({ min: 1, max: 7 }),
});

/** The rows of an event that came in at an offset. */
export function rowsOf(given: Given, offset: number) {
  const value = {
    eid: given.eid,
    mid: given.mid,
    context: { did: given.did, channel: given.channel },
    actor: { id: given.user },
  };
  const source = { topic: 'telemetry.ingest', partition: 0, offset, index: 0 };
  const headers = headersOf(
    { source, nowMs: given.receivedAtMs, job: 'route' },
    { code: null, reason: null, pointer: null },
  );
  const record = logRecord(TOPICS[given.outcome], JSON.stringify(value), { offset, headers });
  return tableRowsOf(record, ENVIRONMENT);
}

/** All pages of an answer, each within its limit. */
export async function readAll(reader: TableReader, chosen: EventFilter): Promise<readonly EventRow[]> {
  const found: EventRow[] = [];
  let after: string | null = null;
  do {
    const page: EventsDocument = await reader.events({ ...chosen, ...(after === null ? {} : { after }) });
    assert.ok(page.events.length <= (chosen.limit ?? 100));
    found.push(...page.events);
    after = page.next;
  } while (after !== null);
  return found;
}

/** Whether an event is one of those asked for. */
export function matches(
  given: Given,
  chosen: Partial<Record<keyof EventFilter, string | number | undefined>>,
): boolean {
  const isSame = (name: 'outcome' | 'mid' | 'did' | 'channel' | 'eid' | 'user'): boolean =>
    chosen[name] === undefined || chosen[name] === given[name];
  return (
    (['outcome', 'mid', 'did', 'channel', 'eid', 'user'] as const).every(isSame) &&
    given.receivedAtMs >= Number(chosen.fromMs ?? 0) &&
    given.receivedAtMs < Number(chosen.toMs ?? Number.POSITIVE_INFINITY)
  );
}

/** What is asked for, without the members that are not. */
export function defined(chosen: object): EventFilter {
  return Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined));
}
