import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import type {
  ArchiveDocument,
  ArchiveVerifyDocument,
  FailedDocument,
  QueryDocument,
  StatusDocument,
  TailDocument,
  TraceDocument,
} from '../../src/core/documents.ts';
import { bareTopic } from '../../src/core/topics.ts';
import { GOLDEN_COUNTS, goldenCache, goldenPath, monthsSinceFebruary2020 } from './golden-data.ts';
import { Millrace } from './millrace.ts';

const PRODUCERS = 'dedup.producers=dev.sunbird.portal,dev.sunbird.desktop';

/** Where each event of the golden batches ends: mid → final stages of its sightings, in order of arrival. */
const ENDINGS: Record<string, readonly string[]> = {
  'b67e3f42-2184-4df5-89ab-de074b6a44b0': ['route emit druid.events.error'],
  'e9128eae-610e-434b-bc32-aecebc19fb18': ['validate emit druid.events.log'],
  'ASSESS:12159f2827880221eef12a6be9560379:test': [
    'route emit druid.events.telemetry',
    'validate reject telemetry.failed /edata/item/id',
    'route drop telemetry.duplicate',
  ],
  '1587321000068.fce44d20-e1e0-46a6-9b23-9ddd44f7bd36': ['route emit druid.events.telemetry'],
};

/** Copies of events that leave on the way. */
const COPIES: readonly string[] = ['telemetry.audit', 'telemetry.assess.raw'];

type Golden = readonly { readonly events: readonly { readonly mid: string; readonly eid: string }[] }[];

function readGolden(): Golden {
  const lines = readFileSync(goldenPath('flink_golden_dataset.json'), 'utf8').split('\n');
  return lines.filter(line => line.trim() !== '').map(line => JSON.parse(line) as Golden[number]);
}

async function loadCaches(millrace: Millrace): Promise<void> {
  for (const [dataset, rows] of Object.entries(goldenCache())) {
    const file = join(millrace.data, `${dataset}.jsonl`);
    await writeFile(file, rows.map(row => JSON.stringify(row)).join('\n'));
    const loaded = await millrace.run(['cache', 'load', dataset, file]);
    assert.equal(loaded.code, 0, loaded.stderr);
  }
}

async function tail(millrace: Millrace, topic: string): Promise<TailDocument[]> {
  const finished = await millrace.run(['topics', 'tail', topic, '--from-start', '--json']);
  assert.equal(finished.code, 0, finished.stderr);
  return finished.stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as TailDocument);
}

function assertCounts(actual: Record<string, number>): void {
  const relevant = Object.fromEntries(Object.keys(GOLDEN_COUNTS).map(topic => [topic, actual[topic] ?? 0]));
  assert.deepEqual(relevant, GOLDEN_COUNTS);
}

function assertConserved(status: StatusDocument): void {
  for (const row of status.conservation) {
    assert.equal(row.received, row.emitted + row.rejected + row.dropped, JSON.stringify(row));
    assert.ok(row.balanced, JSON.stringify(row));
  }
  for (const edge of status.edges) assert.ok(edge.balanced, JSON.stringify(edge));
}

/** An environment that the golden data is run through. */
export interface GoldenRun {
  readonly environment: string;
  /** `--set` texts beside those that the data asks for. */
  readonly sets: readonly string[];
}

/** The tests of the three golden batches: every count, every end, both laws, in the stores of the environment. */
export function testGoldenBatches(run: GoldenRun): void {
  let millrace: Millrace;
  let golden: Golden;

  before(async () => {
    golden = readGolden();
    const months = monthsSinceFebruary2020(Date.now());
    const sets = [PRODUCERS, `denormalise.expiryMonths=${months}`, ...run.sets];
    millrace = await Millrace.create(sets, run.environment);
    await millrace.up();
    await loadCaches(millrace);
    const sent = await millrace.run(['send', goldenPath('flink_golden_dataset.json'), '--json']);
    assert.equal(sent.code, 0, sent.stdout + sent.stderr);
    const document = JSON.parse(sent.stdout) as Record<string, unknown>;
    assert.deepEqual(
      [document['files'], document['batches'], document['events'], document['accepted'], document['refused']],
      [1, 3, 35, 3, 0],
    );
    await millrace.idle();
  });
  after(() => millrace?.remove());

  it('gives every count of the newest generation', async () => {
    assertCounts(await millrace.counts());
  });

  it('balances both conservation laws', async () => {
    const status = await millrace.json<StatusDocument>(['status']);
    assertConserved(status);
    const expired = status.counters['denormalise.events_expired'];
    const skipped = status.counters['denormalise.events_skipped'];
    assert.deepEqual([expired, skipped], [1, 1]);
  });

  it('denormalises what the fixtures know', async () => {
    const telemetry = (await tail(millrace, 'druid.events.telemetry')).map(record => record.value);
    const errors = (await tail(millrace, 'druid.events.error')).map(record => record.value);
    const duplicates = (await tail(millrace, 'telemetry.duplicate')).map(record => record.value);
    const events = [...telemetry, ...errors, ...duplicates] as { flags: Record<string, boolean> }[];
    const count = (flag: string) => events.filter(event => event.flags?.[flag] === true).length;
    assert.deepEqual(
      {
        device: count('device_denorm'),
        user: count('user_denorm'),
        content: count('content_denorm'),
        dialcode: count('dialcode_denorm'),
        collection: count('coll_denorm'),
        l2: count('l2_denorm'),
      },
      { device: 3, user: 3, content: 1, dialcode: 1, collection: 5, l2: 3 },
      'over everything that left denormalise, the duplicate IMPRESSION and the ERROR included',
    );
  });

  it('adds the values of the fixtures', async () => {
    const rows = await tail(millrace, 'druid.events.telemetry');
    const values = rows.map(row => row.value) as Record<string, Record<string, unknown>>[];
    const content = values.find(value => value['flags']?.['content_denorm'] === true)!;
    assert.equal(content['contentdata']!['lastupdatedon'], 1583151752206);
    assert.equal(content['contentdata']!['lastpublishedon'], 1583151752363);
    const dialcode = values.find(value => value['flags']?.['dialcode_denorm'] === true)!;
    assert.equal(dialcode['dialcodedata']!['generatedon'], 1535972978850);
    const device = values.find(value => value['flags']?.['device_denorm'] === true)!;
    const { firstaccess, state, userdeclared, iso3166statecode } = device['devicedata']!;
    assert.deepEqual(
      { firstaccess, state, userdeclared, iso3166statecode },
      {
        firstaccess: 1587283462495,
        state: 'Punjab',
        userdeclared: { state: 'Himachal Pradesh', district: 'Kangra' },
        iso3166statecode: '',
      },
    );
    assert.deepEqual(device['derivedlocationdata'], {
      state: 'Himachal Pradesh',
      district: 'Kangra',
      from: 'user-profile',
    });
  });

  it('names the field of each rejected event', async () => {
    const { failed } = await millrace.json<FailedDocument>(['failed', 'list']);
    assert.deepEqual(failed.map(row => row.pointer).sort(), [
      '/context',
      '/edata/item/id',
      '/edata/target/id',
    ]);
  });

  it('traces every event to where it ended', async () => {
    const mids = new Set(golden.flatMap(batch => batch.events.map(event => event.mid)));
    for (const mid of mids) {
      const trace = await (await millrace.fetch(`/v1/trace/${encodeURIComponent(mid)}`)).json();
      const { sightings } = trace as TraceDocument;
      const sent = golden.flatMap(batch => batch.events).filter(event => event.mid === mid).length;
      assert.equal(sightings.length, sent, `${mid}: ${JSON.stringify(sightings)}`);
      for (const sighting of sightings) {
        assert.ok(sighting.stages.length > 0, mid);
        assert.equal(sighting.stages[0]!.stage, 'extract', mid);
      }
      const endings = ENDINGS[mid];
      if (endings === undefined) continue;
      const ends = sightings.slice(0, endings.length).map(sighting => {
        const end = sighting.stages.findLast(
          stage => !COPIES.includes(bareTopic(run.environment, stage.topic ?? '')),
        )!;
        const topic = end.topic === null ? 'none' : bareTopic(run.environment, end.topic);
        return [end.stage, end.outcome, topic, end.pointer].filter(word => word !== null).join(' ');
      });
      assert.deepEqual(ends, endings, mid);
    }
  });

  it('answers SQL over what left the last job', async () => {
    const answer = await millrace.json<QueryDocument>([
      'query',
      'SELECT dataset, count(*) AS count FROM events GROUP BY dataset ORDER BY dataset',
    ]);
    assert.deepEqual(answer.rows, [
      { dataset: 'druid.events.error', count: 1 },
      { dataset: 'druid.events.log', count: 3 },
      { dataset: 'druid.events.telemetry', count: 13 },
    ]);
  });

  it('archives every stored record once, and proves it', async () => {
    const flushed = await millrace.run(['archive', 'flush']);
    assert.equal(flushed.code, 0, flushed.stderr);
    const verified = await millrace.json<ArchiveVerifyDocument>(['archive', 'verify']);
    assert.ok(verified.ok, JSON.stringify(verified));
    const topic = verified.topics.find(entry => entry.topic === `${run.environment}.druid.events.telemetry`)!;
    const records = (await millrace.json<ArchiveDocument>(['archive', 'ls'])).objects
      .filter(object => object.topic === topic.topic)
      .reduce((sum, object) => sum + object.records, 0);
    assert.equal(records, 13);
  });

  it('stays the same over a restart', async () => {
    await millrace.stop();
    await millrace.up();
    await millrace.idle();
    assertCounts(await millrace.counts());
  });
}

/** The tests of what else the golden data holds. */
export function testOtherInputs(run: GoldenRun): void {
  let millrace: Millrace;

  before(async () => {
    millrace = await Millrace.create(['denormalise.expiryMonths=1200', ...run.sets], run.environment);
    await millrace.up();
  });
  after(() => millrace?.remove());

  it('takes three batches of 2018 and refuses the truncated one', async () => {
    const sent = await millrace.run(['send', goldenPath('pipeline_test_data.json'), '--json']);
    assert.equal(sent.code, 1, 'a refused batch is an exit code');
    const document = JSON.parse(sent.stdout) as {
      refused: number;
      accepted: number;
      results: { status: number }[];
    };
    assert.deepEqual([document.accepted, document.refused, document.results.at(-1)!.status], [3, 1, 400]);
    await millrace.idle();
    const counts = await millrace.counts();
    const expected = {
      'telemetry.extractor.failed': 0,
      'telemetry.failed': 1,
      'druid.events.log': 5,
      'druid.events.error': 1,
      'telemetry.unique.primary': 6,
      'telemetry.unique.secondary': 10,
      'telemetry.denorm': 16,
      'druid.events.telemetry': 16,
    };
    const actual = Object.fromEntries(Object.keys(expected).map(topic => [topic, counts[topic] ?? 0]));
    assert.deepEqual(actual, expected);
  });

  it('sets the truncated batch aside where it is put into the topic', async () => {
    const produced = await millrace.run([
      'topics',
      'produce',
      'telemetry.ingest',
      '--input',
      goldenPath('pipeline_test_data.json'),
    ]);
    assert.equal(produced.code, 0, produced.stderr);
    await millrace.idle();
    assert.equal((await millrace.counts())['telemetry.extractor.failed'], 1);
  });

  it('passes session summaries on and denormalises none', async () => {
    const produced = await millrace.run([
      'topics',
      'produce',
      'telemetry.derived',
      '--input',
      goldenPath('sample_summary_events.json'),
    ]);
    assert.equal(produced.code, 0, produced.stderr);
    assertConserved(await millrace.idle());
    const counts = await millrace.counts();
    assert.deepEqual([counts['telemetry.derived.unique'], counts['druid.events.summary'] ?? 0], [5, 0]);
  });
}
