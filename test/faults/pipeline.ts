import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ArchiveDocument,
  ArchiveVerifyDocument,
  QueryDocument,
  StatusDocument,
  TailDocument,
} from '../../src/core/documents.ts';
import type { Json, JsonObject } from '../../src/core/event.ts';
import { anEvent } from '../e2e/load.ts';
import { Millrace } from '../e2e/millrace.ts';

/** What a client got for a request. */
export interface Reply {
  readonly status: number;
  /** Name of the error in the envelope; empty where there is none. */
  readonly code: string;
  readonly retryAfter: string | null;
}

const VIEW = { type: 'view', pageid: 'home', uri: '/home' };

/** A data directory with the real process on it, gone when the test ends. */
export async function startMillrace(test: TestContext, sets: readonly string[] = []): Promise<Millrace> {
  const millrace = await Millrace.create(sets);
  test.after(() => millrace.remove());
  await millrace.up();
  return millrace;
}

/** A valid event of a mid. */
export function validEvent(mid: string, extra: JsonObject = {}): JsonObject {
  return { ...anEvent(mid, VIEW), ...extra };
}

/** An event that its schema refuses. */
export function invalidEvent(mid: string): JsonObject {
  return anEvent(mid, { ...VIEW, pageid: 7 });
}

/** The body of a batch. */
export function batchOf(msgid: string, events: readonly Json[]): string {
  return JSON.stringify({ id: 'api.test', ver: '3.0', params: { msgid }, events });
}

/** Posts a body to the ingest; rejects where the connection breaks. */
export async function post(
  millrace: Millrace,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const response = await fetch(`${await millrace.url()}/v1/telemetry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  const envelope = (await response.json()) as { params?: { err?: string | null } };
  return {
    status: response.status,
    code: envelope.params?.err ?? '',
    retryAfter: response.headers.get('retry-after'),
  };
}

/** Posts a body again and again, at most for a time, until it is acknowledged. */
export async function postUntilAcknowledged(millrace: Millrace, body: string, msMax = 60_000): Promise<void> {
  const deadlineMs = Date.now() + msMax;
  for (let reply = await post(millrace, body); reply.status !== 200; reply = await post(millrace, body)) {
    assert.ok(Date.now() < deadlineMs, `not acknowledged within ${msMax} ms: ${JSON.stringify(reply)}`);
    await sleep(100);
  }
}

/** Every record of a topic that can be read. */
export async function recordsOf(millrace: Millrace, topic: string): Promise<readonly TailDocument[]> {
  const response = await millrace.fetch(`/v1/topics/${topic}/records`);
  assert.equal(response.status, 200, topic);
  const lines = (await response.text()).split('\n').filter(line => line !== '');
  return lines.map(line => JSON.parse(line) as TailDocument);
}

/** The mids of a topic's records, in their order. */
export async function midsOf(millrace: Millrace, topic: string): Promise<readonly string[]> {
  return (await recordsOf(millrace, topic)).map(({ value }) => (value as { mid: string }).mid);
}

/** Rows of a query. */
export async function rowsOf(millrace: Millrace, sql: string): Promise<QueryDocument['rows']> {
  const response = await millrace.fetch('/v1/query', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sql }),
  });
  const document = (await response.json()) as QueryDocument;
  assert.equal(response.status, 200, JSON.stringify(document));
  return document.rows;
}

/** Where the arrivals of a mid ended: names of relations. */
export async function endsOf(millrace: Millrace, mid: string): Promise<readonly string[]> {
  const rows = await rowsOf(
    millrace,
    ['events', 'failed', 'duplicates', 'dropped']
      .map(relation => `SELECT '${relation}' AS relation FROM ${relation} WHERE mid = '${mid}'`)
      .join(' UNION ALL '),
  );
  return rows.map(({ relation }) => String(relation));
}

/** The state of the pipeline. */
export async function statusOf(millrace: Millrace): Promise<StatusDocument> {
  return (await (await millrace.fetch('/v1/status')).json()) as StatusDocument;
}

/** Both conservation laws hold. */
export function assertConserved(status: StatusDocument): void {
  for (const row of status.conservation) assert.ok(row.balanced, JSON.stringify(row));
  for (const row of status.edges) assert.ok(row.balanced, JSON.stringify(row));
}

/** Everything stored is archived, once and whole; answers the objects. */
export async function archiveAll(millrace: Millrace): Promise<ArchiveDocument['objects']> {
  const flushed = await millrace.run(['archive', 'flush']);
  assert.equal(flushed.code, 0, flushed.stderr);
  const verdict = await millrace.json<ArchiveVerifyDocument>(['archive', 'verify']);
  assert.ok(verdict.ok, JSON.stringify(verdict));
  return (await millrace.json<ArchiveDocument>(['archive', 'ls'])).objects;
}

/** Waits until the claim holds; fails after a time. */
export async function until(
  what: string,
  claim: () => boolean | Promise<boolean>,
  msMax = 60_000,
): Promise<void> {
  const deadlineMs = Date.now() + msMax;
  while (!(await claim())) {
    assert.ok(Date.now() < deadlineMs, `not within ${msMax} ms: ${what}`);
    await sleep(50);
  }
}

/** Resident memory of the serving process, bytes (Linux). */
export function residentBytes(millrace: Millrace): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${millrace.pid}/status`, 'utf8'));
  assert.ok(match !== null, 'the kernel says how much memory the process has');
  return Number(match[1]) * 1024;
}
