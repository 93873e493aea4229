import { writeSync } from 'node:fs';
import { type EmbeddedLog, openEmbeddedLog } from '../../src/adapters/log/embedded-log.ts';
import type { Consumer, GroupOffset } from '../../src/core/ports.ts';
import type { LogRecord } from '../../src/core/record.ts';
import { armFailpoint } from '../../src/observability/failpoint.ts';
import { logOptions, recordOf, textOf } from './open-log.ts';

/*
 * A process to be killed: senders write to alpha and say on standard output what was acknowledged; `copy`
 * reads alpha and writes each record once to beta, in one commit with its offsets; `sink` reads beta.
 * Arguments: directory, name of the run, failpoint.
 */
const [directory = '', run = '', failpoint = ''] = process.argv.slice(2);
const SENDERS = 8;
const POLL = { recordsMax: 50, bytesMax: 100_000, waitMsMax: 1000 } as const;

const log = await openEmbeddedLog(
  logOptions(directory, { segmentBytes: 64 * 1024, retentionBytes: 200_000 }),
);
armFailpoint(failpoint);
writeSync(1, 'open\n');
void copy(log, await log.consume('copy', ['alpha']));
void sink(log, await log.consume('sink', ['beta']));
for (let sender = 0; sender < SENDERS; sender++) void send(log, sender);

async function send(to: EmbeddedLog, sender: number): Promise<void> {
  const partition = sender % 2;
  for (let index = 0; ; index++) {
    const texts = Array.from(
      { length: 1 + (index % 4) },
      (_, each) => `${run}.${sender}.${index}.${each} ${'x'.repeat(100)}`,
    );
    const appends = [{ topic: 'alpha', partition, records: texts.map(recordOf) }];
    const { baseOffsets } = await to.commit({ appends, counters: { 'alpha.records': texts.length } });
    writeSync(1, `${JSON.stringify({ partition, baseOffset: baseOffsets[0], texts })}\n`);
  }
}

async function copy(to: EmbeddedLog, consumer: Consumer): Promise<void> {
  for (;;) {
    const records = await consumer.poll(POLL);
    const copies = records.map(record => recordOf(`${record.partition}:${record.offset} ${textOf(record)}`));
    await to.commit({
      appends: [{ topic: 'beta', partition: 0, records: copies }],
      offsets: offsetsAfter('copy', records),
      counters: { 'beta.records': copies.length },
    });
  }
}

async function sink(to: EmbeddedLog, consumer: Consumer): Promise<void> {
  for (;;) {
    const records = await consumer.poll(POLL);
    await to.commit({ appends: [], offsets: offsetsAfter('sink', records) });
  }
}

function offsetsAfter(group: string, records: readonly LogRecord[]): readonly GroupOffset[] {
  return records.map(({ topic, partition, offset }) => ({ group, topic, partition, offset: offset + 1 }));
}
