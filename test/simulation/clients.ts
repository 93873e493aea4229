import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type Json, type JsonObject, objectAt } from '../../src/core/event.ts';
import { HEADER } from '../../src/core/headers.ts';
import type { NewRecord } from '../../src/core/record.ts';
import { parseBatch } from '../../src/services/ingest/parse-batch.ts';
import { stampBatch } from '../../src/services/ingest/stamp-batch.ts';
import { storedValue } from '../services/stored-value.ts';

/**
 * What an event must become: `good` once and a duplicate after that, `dropped` likewise (or dropped again where
 * the first dedup does not cover its producer); `failed` and `log` each time, as they pass no dedup.
 */
export type Ending = 'good' | 'log' | 'failed' | 'dropped';

/** One body as a client sends it, again and again until it is acknowledged. */
export interface Body {
  readonly device: string;
  readonly bytes: Buffer;
}

/** What the clients sent: endings by mid, and the bodies that were acknowledged. */
export interface Sent {
  readonly endings: Map<string, Ending>;
  readonly acknowledged: Body[];
}

const FIXTURES = new Map<string, JsonObject>();
const YEAR_MS = 365 * 86_400_000;

/** Limits of the simulated ingest: small, so that both sides of them are met. */
export const EVENT_BYTES_MAX = 2000;

interface Kind {
  readonly weight: number;
  readonly ending: Ending;
  /** The event of `fixtures/valid` that it is made from. */
  readonly like: string;
  change?(event: JsonObject): JsonObject;
}

const withPage = (event: JsonObject, page: JsonObject): JsonObject => ({
  ...event,
  edata: { ...objectAt(event, 'edata'), ...page },
});
const KINDS: readonly Kind[] = [
  { weight: 40, ending: 'good', like: 'impression' },
  { weight: 8, ending: 'good', like: 'interact' },
  { weight: 5, ending: 'log', like: 'log' },
  { weight: 4, ending: 'good', like: 'error' },
  { weight: 5, ending: 'good', like: 'assess' },
  { weight: 5, ending: 'good', like: 'share' },
  { weight: 4, ending: 'good', like: 'audit' },
  { weight: 4, ending: 'dropped', like: 'interrupt' },
  {
    weight: 4,
    ending: 'dropped',
    like: 'impression',
    change: event => ({ ...event, ets: Number(event['ets']) - YEAR_MS }),
  },
  { weight: 8, ending: 'failed', like: 'impression', change: event => withPage(event, { pageid: 7 }) },
  { weight: 4, ending: 'failed', like: 'impression', change: event => ({ ...event, eid: 'NOSUCHEVENT' }) },
  {
    weight: 3,
    ending: 'failed',
    like: 'impression',
    change: event => withPage(event, { uri: 'x'.repeat(EVENT_BYTES_MAX) }),
  },
];
/** Each kind as often as it weighs. */
const LOTS = KINDS.flatMap(kind => new Array<Kind>(kind.weight).fill(kind));

/** A device with an SDK: makes bodies, remembers what it sent, sends some of it again. */
export class Device {
  readonly #id: string;
  readonly #random: () => number;
  readonly #sent: Sent;
  readonly #events: JsonObject[] = [];
  readonly #bodies: Body[] = [];
  #count = 0;

  constructor(id: string, random: () => number, sent: Sent) {
    this.#id = id;
    this.#random = random;
    this.#sent = sent;
  }

  /** The next body: new, or one that was sent before. */
  nextBody(nowMs: number): Body {
    const old = this.#pick(this.#bodies);
    if (old !== undefined && this.#random() < 0.15) return old;
    const events = Array.from({ length: Math.floor(this.#random() * 7) }, () => this.#nextElement(nowMs));
    const id = `${this.#id}-batch-${this.#bodies.length}`;
    const params = this.#random() < 0.8 ? { msgid: id, did: this.#id } : { did: this.#id };
    const body = {
      device: this.#id,
      bytes: Buffer.from(JSON.stringify({ id: 'sim', ver: '3.0', mid: id, params, events })),
    };
    this.#bodies.push(body);
    return body;
  }

  #nextElement(nowMs: number): Json {
    const old = this.#pick(this.#events);
    if (old !== undefined && this.#random() < 0.2) return old;
    if (this.#random() < 0.03) return 'no event';
    const kind = this.#nextKind();
    const mid = `${this.#id}-${this.#count++}`;
    const like = fixture(kind.like);
    const context = { ...objectAt(like, 'context'), did: this.#id, pdata: this.#producer() };
    const made = { ...like, mid, ets: nowMs, context };
    const event = kind.change === undefined ? made : kind.change(made);
    this.#events.push(event);
    this.#sent.endings.set(mid, kind.ending);
    return event;
  }

  /** The first dedup covers one producer only; the last job's covers all. */
  #producer(): JsonObject {
    return { id: this.#random() < 0.7 ? 'sim.portal' : 'sim.other', ver: '1.0', pid: 'p' };
  }

  #nextKind(): Kind {
    return LOTS[Math.floor(this.#random() * LOTS.length)]!;
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#random() * items.length)];
  }
}

/** The record that ingest makes of a body, with the product's own parser and stamp. */
export function recordOf(body: Body, nowMs: number): NewRecord {
  const batch = parseBatch(body.bytes, { depthMax: 40, eventsMax: 1000 });
  assert.ok(!(batch instanceof Error), 'the simulated bodies are readable');
  const record = stampBatch(batch, {
    did: body.device,
    channel: undefined,
    pid: undefined,
    nowMs,
    dataset: 'sb-telemetry',
    newMid: () => assert.fail('every simulated batch has a mid'),
  });
  return { ...record, value: storedValue(record) };
}

/** A record that an operator produced and nobody can read. */
export function malformedRecord(device: string, nowMs: number): NewRecord {
  return {
    key: device,
    timeMs: nowMs,
    headers: { [HEADER.malformed]: '1' },
    value: Buffer.from([0x7b, 0xff, 0x22]),
  };
}

/** A workflow summary as a data product puts it into `telemetry.derived`. */
export function summaryRecord(mid: string, nowMs: number): NewRecord {
  const event = { ...fixture('me_workflow_summary'), mid, syncts: nowMs, ets: nowMs };
  return { key: mid, timeMs: nowMs, headers: {}, value: Buffer.from(JSON.stringify(event)) };
}

function fixture(name: string): JsonObject {
  const known = FIXTURES.get(name);
  if (known !== undefined) return known;
  const text = readFileSync(new URL(`../../fixtures/valid/${name}.json`, import.meta.url), 'utf8');
  const event = JSON.parse(text) as JsonObject;
  FIXTURES.set(name, event);
  return event;
}
