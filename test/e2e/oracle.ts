import assert from 'node:assert/strict';
import type {
  ArchiveVerifyDocument,
  QueryDocument,
  StatusDocument,
  TailDocument,
  TopicsDocument,
} from '../../src/core/documents.ts';
import type { LoadReport } from './load.ts';
import type { Millrace } from './millrace.ts';

const PAGE = 5000;
/** The kinds of events that tests send; what the jobs derive from them is another. */
const SENT = "eid IN ('IMPRESSION', 'NOTE')";

interface Stored {
  readonly partition: number;
  readonly offset: number;
  readonly mid: string;
}

/**
 * Reads every output and proves that nothing acknowledged is missing, nothing stands twice, and the counts
 * add up: topics, tables, archive and both conservation laws.
 */
export async function assertNothingLostOrDoubled(millrace: Millrace, report: LoadReport): Promise<void> {
  const status = await millrace.idle();
  const good = await readTopic(millrace, 'druid.events.telemetry');
  const failed = await readTopic(millrace, 'telemetry.failed');
  await assertSingle(millrace, good);
  await assertSingle(millrace, failed);
  assertHolds('druid.events.telemetry', good, report.valid);
  assertHolds('telemetry.failed', failed, report.invalid);
  assertOrdered(good, report.repeated);

  const rows = await query(
    millrace,
    `SELECT mid, count(*) AS n FROM events WHERE ${SENT} GROUP BY mid HAVING count(*) > 1`,
  );
  assert.deepEqual(rows, [], 'no event stands twice in the tables');
  const [total] = await query(millrace, `SELECT count(*) AS n FROM events WHERE ${SENT}`);
  assert.equal(total!['n'], good.length, 'the tables hold what the topic holds');
  const [failures] = await query(millrace, 'SELECT count(*) AS n FROM failed');
  assert.equal(failures!['n'], failed.length, 'the failures hold what their topic holds');

  await assertArchived(millrace, {
    'druid.events.telemetry': good.length,
    'telemetry.failed': failed.length,
  });
  // Last: where the counts are wrong it matters most whether the events are, too.
  assertBalanced(status);
}

/** Both conservation laws, as `status` shows them. */
function assertBalanced(status: StatusDocument): void {
  for (const row of status.conservation) {
    assert.equal(row.received, row.emitted + row.rejected + row.dropped, JSON.stringify(row));
    assert.ok(row.balanced, JSON.stringify(row));
  }
  for (const edge of status.edges) assert.ok(edge.balanced, JSON.stringify(edge));
}

/** Nothing stands twice; where something does, its trace says which records it came from. */
async function assertSingle(millrace: Millrace, stored: readonly Stored[]): Promise<void> {
  const copies = Map.groupBy(stored, ({ mid }) => mid);
  const doubled = [...copies.values()].filter(({ length }) => length > 1);
  if (doubled.length === 0) return;
  const trace = await (await millrace.fetch(`/v1/trace/${doubled[0]![0]!.mid}`)).text();
  assert.fail(
    `${doubled.length} events stand twice: ${JSON.stringify(doubled.slice(0, 5))}, the first: ${trace}`,
  );
}

function assertHolds(topic: string, stored: readonly Stored[], acknowledged: ReadonlySet<string>): void {
  const mids = new Set(stored.map(record => record.mid));
  const missing = [...acknowledged].filter(mid => !mids.has(mid));
  assert.deepEqual(missing.slice(0, 5), [], `${missing.length} acknowledged events missing in ${topic}`);
}

/**
 * Events that came in one batch and went to one partition stand there in the order of the batch. What came again in
 * another batch may stand where that one put it: batches of different partitions have no order between them.
 */
function assertOrdered(stored: readonly Stored[], repeated: ReadonlySet<string>): void {
  const last = new Map<string, number>();
  for (const { partition, mid } of stored) {
    if (repeated.has(mid)) continue;
    const [, batch, index] = /^(.*)-(\d+)$/.exec(mid)!;
    const key = `${partition} ${batch}`;
    assert.ok((last.get(key) ?? -1) < Number(index), `${mid} stands before an earlier one of its batch`);
    last.set(key, Number(index));
  }
}

async function readTopic(millrace: Millrace, topic: string): Promise<Stored[]> {
  const { topics } = (await (await millrace.fetch('/v1/topics')).json()) as TopicsDocument;
  const name = `${millrace.environment}.${topic}`;
  const { partitions } = topics.find(entry => entry.topic === name)!;
  const read = partitions.map(({ partition }) => readPartition(millrace, name, partition));
  return (await Promise.all(read)).flat();
}

async function readPartition(millrace: Millrace, topic: string, partition: number): Promise<Stored[]> {
  const records: Stored[] = [];
  // Ends at the end of the partition.
  while (true) {
    const fromOffset = records.length === 0 ? 0 : records.at(-1)!.offset + 1;
    const response = await millrace.fetch(
      `/v1/topics/${topic}/records?partition=${partition}&fromOffset=${fromOffset}&limit=${PAGE}`,
    );
    assert.equal(response.status, 200, topic);
    const lines = (await response.text()).split('\n').filter(line => line !== '');
    if (lines.length === 0) return records;
    for (const line of lines) {
      const record = JSON.parse(line) as TailDocument;
      records.push({ partition, offset: record.offset, mid: (record.value as { mid: string }).mid });
    }
  }
}

async function query(millrace: Millrace, sql: string): Promise<QueryDocument['rows']> {
  return (await millrace.json<QueryDocument>(['query', sql])).rows;
}

async function assertArchived(millrace: Millrace, records: Record<string, number>): Promise<void> {
  const flushed = await millrace.run(['archive', 'flush']);
  assert.equal(flushed.code, 0, flushed.stderr);
  const verified = await millrace.json<ArchiveVerifyDocument>(['archive', 'verify']);
  assert.ok(verified.ok, JSON.stringify(verified));
  const { objects } = await millrace.json<{ objects: { topic: string; records: number }[] }>([
    'archive',
    'ls',
  ]);
  for (const [topic, count] of Object.entries(records)) {
    const archived = objects
      .filter(object => object.topic === `${millrace.environment}.${topic}`)
      .reduce((sum, { records: n }) => sum + n, 0);
    assert.equal(archived, count, `the archive holds each record of ${topic} once`);
  }
}
