import { createHash } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openTables } from '../src/adapters/tables/sqlite-tables.ts';
import type { JsonObject } from '../src/core/event.ts';
import type { LogRecord } from '../src/core/record.ts';
import { tableRowsOf } from '../src/runtime/tables/table-rows.ts';
import { benchBatch, MASTER_DATA } from './corpus.ts';
import { cpuUs, type Figure } from './figure.ts';

/** Events in the file when a stretch is measured. */
const SIZES = [100_000, 500_000, 1_000_000];
const MEASURED = 50_000;
/** Of `tables.batchRowsMax`. */
const BATCH_EVENTS = 2_000;
const DEVICES = 50_000;
const EVENTS_PER_VISIT = 20;
const T0_MS = 1_718_000_000_000;

/**
 * Rows of the sink in the file of SQLite as it grows: what an event costs after so many others. Ids are spread as
 * those of a fleet are: mids without order, 20 events of a device at a time.
 */
export async function run(): Promise<readonly Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const file = join(directory, 'tables.sqlite');
  const figures: Figure[] = [];
  const tables = await openTables(file, T0_MS);
  try {
    let stored = 0;
    const store = async (until: number) => {
      const spent = { cpuUs: 0, rowsUs: 0, wallMs: 0, longestMs: 0 };
      for (; stored < until; stored += BATCH_EVENTS) {
        const records = recordsOf(stored, BATCH_EVENTS);
        const [startedUs, startedMs] = [cpuUs(), performance.now()];
        const rows = records.flatMap(record => tableRowsOf(record, 'local'));
        spent.rowsUs += cpuUs() - startedUs;
        await tables.insert(rows);
        spent.cpuUs += cpuUs() - startedUs;
        const ms = performance.now() - startedMs;
        spent.wallMs += ms;
        spent.longestMs = Math.max(spent.longestMs, ms);
      }
      return spent;
    };
    for (const size of SIZES) {
      await store(size);
      const spent = await store(size + MEASURED);
      const name = `after ${size.toLocaleString('en-US')} events`;
      figures.push(
        { name: `${name}: CPU per event`, value: spent.cpuUs / MEASURED, unit: 'us' },
        { name: `${name}: of it making rows`, value: spent.rowsUs / MEASURED, unit: 'us' },
        { name: `${name}: events`, value: MEASURED / (spent.wallMs / 1000), unit: '/s' },
        { name: `${name}: longest batch`, value: spent.longestMs, unit: 'ms' },
      );
    }
    const { size } = await stat(file);
    figures.push({ name: 'file, bytes per event', value: size / stored, unit: 'bytes' });
  } finally {
    await tables.close();
    await rm(directory, { recursive: true });
  }
  return figures;
}

/** Events as they leave the chain, of about 1.5 KB, in the shares that it sends them to its topics. */
function recordsOf(first: number, count: number): readonly LogRecord[] {
  const { device, user, content } = MASTER_DATA;
  const data = { devicedata: device, userdata: user, contentdata: content };
  const { events } = JSON.parse(benchBatch(first, count).toString()) as { events: JsonObject[] };
  return events.map((event, at) => {
    const n = first + at;
    const visit = digest(`visit ${digest(`${Math.floor(n / EVENTS_PER_VISIT)}`).slice(0, 8)}`);
    const who = digest(`device ${Number.parseInt(visit.slice(0, 8), 16) % DEVICES}`);
    const value = {
      ...event,
      mid: `${event['eid']}:${digest(`${n}`)}`,
      actor: { id: `${who.slice(0, 8)}-${who.slice(8, 12)}-${who.slice(12)}`, type: 'User' },
      context: { ...(event['context'] as JsonObject), did: who },
      ...data,
    };
    const origin = `local.telemetry.ingest:0:${Math.floor(n / 100)}:${n % 100} ${T0_MS + n} route`;
    return {
      topic: `local.${topicOf(n)}`,
      partition: 0,
      offset: n,
      key: null,
      timeMs: T0_MS + n,
      headers: n % 50 === 7 ? { origin, code: 'ERR_EVENT_INVALID', reason: 'no such version' } : { origin },
      value: Buffer.from(JSON.stringify(value)),
    };
  });
}

function topicOf(n: number): string {
  if (n % 100 === 99) return 'telemetry.duplicate';
  if (n % 50 === 7) return 'telemetry.failed';
  return n % 10 === 6 ? 'druid.events.log' : 'druid.events.telemetry';
}

function digest(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
