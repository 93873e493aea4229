import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventsDocument } from '../../src/core/documents.ts';
import type { Json, JsonObject } from '../../src/core/event.ts';
import type {
  SchemaAddedDocument,
  SchemasDocument,
  SchemasPublishedDocument,
} from '../../src/core/schema-documents.ts';
import { anEvent, type LoadReport, startLoad } from '../e2e/load.ts';
import { Millrace } from '../e2e/millrace.ts';
import { assertNothingLostOrDoubled } from '../e2e/oracle.ts';

/** Publishes again and again while events flow, on an environment of its own. */
export function testPublishing({
  environment,
  sets,
  workers,
  seed,
  publishes,
  batchEvents,
  perSecondMin,
}: {
  readonly environment: string;
  readonly sets: readonly string[];
  readonly workers: number;
  readonly seed: number;
  readonly publishes: number;
  /** Events of a batch; four senders send one after the other. */
  readonly batchEvents: number;
  /** Events a second that must have been acknowledged meanwhile. */
  readonly perSecondMin: number;
}): void {
  it(`changes them ${publishes} times under load: nothing lost or doubled, each worker read back`, async t => {
    const millrace = await serve(t, sets, environment);
    const startedMs = performance.now();
    const load = startLoad(millrace, seed, batchEvents);
    t.after(() => load.abandon());
    const notes = new NoteBook(millrace);
    const digests = new Set<string>();
    for (let version = 1; version <= publishes; version++) {
      await sleep(500);
      const added = await post<SchemaAddedDocument>(millrace, '/v1/schemas', { schema: noteSchema(version) });
      assert.equal(added.version, version);
      const published = await post<SchemasPublishedDocument>(millrace, '/v1/schemas/publish', {});
      assert.deepEqual(published.published, [{ eid: 'NOTE', version }]);
      assert.equal(published.workers.length, workers);
      for (const worker of published.workers) {
        assert.equal(worker.digest, published.digest, `worker ${worker.worker} after publish ${version}`);
      }
      digests.add(published.digest);
      await notes.assertJudgedBy(version);
    }
    assert.equal(digests.size, publishes, 'each set is another one');
    const report = await load.stop();
    const perSecond = ((report.valid.size + report.invalid.size) * 1000) / (performance.now() - startedMs);
    t.diagnostic(`${Math.round(perSecond)} events/s acknowledged while ${publishes} sets were published`);
    assert.ok(perSecond > perSecondMin, `events flowed: ${Math.round(perSecond)} events/s`);
    assert.equal(report.resends, 0, 'no batch was refused meanwhile');
    await assertNothingLostOrDoubled(millrace, notes.and(report));
  });
}

/** An environment that is served, gone when the test ends. */
export async function serve(
  t: TestContext,
  sets: readonly string[],
  environment = 'local',
): Promise<Millrace> {
  const millrace = await Millrace.create(sets, environment);
  t.after(() => millrace.remove());
  await millrace.up();
  return millrace;
}

/** Version N takes the texts `v1` to `vN`: each takes what the one before took, and one more. */
export function noteSchema(version: number): JsonObject {
  const texts = Array.from({ length: version }, (_, index) => `v${index + 1}`);
  const edata = {
    type: 'object',
    required: ['text'],
    additionalProperties: false,
    properties: { text: { enum: texts } },
  };
  return {
    $schema: 'http://json-schema.org/draft-04/schema#',
    description: 'A note was left.',
    allOf: [{ $ref: 'envelope.json' }, { properties: { eid: { enum: ['NOTE'] }, edata } }],
  };
}

/** Notes that were sent, with the verdict that each got. */
export class NoteBook {
  readonly valid = new Set<string>();
  readonly invalid = new Set<string>();
  readonly #millrace: Millrace;

  constructor(millrace: Millrace) {
    this.#millrace = millrace;
  }

  /** Once publishing has answered, the new version judges: its own text passes, the next one's does not. */
  async assertJudgedBy(version: number): Promise<void> {
    const id = `note-${version}-${this.valid.size}`;
    const note = (index: number, text: string): Json => ({
      ...anEvent(`${id}-${index}`, { text }),
      eid: 'NOTE',
    });
    const events = [note(0, `v${version}`), note(1, `v${version + 1}`)];
    await post(this.#millrace, '/v1/telemetry', { events });
    assert.equal(await outcomeOf(this.#millrace, `${id}-0`), 'emit', `v${version} by version ${version}`);
    assert.equal(
      await outcomeOf(this.#millrace, `${id}-1`),
      'reject',
      `v${version + 1} by version ${version}`,
    );
    this.valid.add(`${id}-0`);
    this.invalid.add(`${id}-1`);
  }

  /** What the load sent, and the notes. */
  and(report: LoadReport): LoadReport {
    return {
      ...report,
      valid: new Set([...report.valid, ...this.valid]),
      invalid: new Set([...report.invalid, ...this.invalid]),
    };
  }
}

/** What was sent before waits its turn: on a machine that is busy, a minute and more. */
const JUDGED_MS_MAX = 120_000;

/** Waits until an event is found where it ended. */
async function outcomeOf(millrace: Millrace, mid: string): Promise<string> {
  const deadlineMs = Date.now() + JUDGED_MS_MAX;
  // Ends when it is found, or at the deadline.
  while (true) {
    const { events } = (await (await millrace.fetch(`/v1/events?mid=${mid}`)).json()) as EventsDocument;
    if (events[0] !== undefined) return events[0].outcome;
    assert.ok(Date.now() < deadlineMs, `${mid} is not found`);
    await sleep(20);
  }
}

/** Every schema, and what each worker uses. */
export async function schemasOf(millrace: Millrace): Promise<SchemasDocument> {
  return (await (await millrace.fetch('/v1/schemas')).json()) as SchemasDocument;
}

/** Posts a document to the API and reads its answer; a refusal throws. */
export async function post<T>(millrace: Millrace, path: string, body: object): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  const response = await millrace.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await response.text();
  assert.equal(response.status, 200, `${path}: ${text}`);
  return JSON.parse(text) as T;
}
