import type { Consumer, GroupOffset, Log } from '../../src/core/ports.ts';
import type { NewRecord } from '../../src/core/record.ts';
import { fullTopic } from '../../src/core/topics.ts';

/** A stage that copies each record to the same partition of its output, and counts as a chain's job does. */
export interface CopyStage {
  readonly job: string;
  readonly input: string;
  readonly output: string;
}

/** Two stages in a row: an input, a topic between jobs, an output. */
export const COPY_STAGES: readonly CopyStage[] = [
  { job: 'one', input: 'telemetry.ingest', output: 'telemetry.unique' },
  { job: 'two', input: 'telemetry.unique', output: 'telemetry.audit' },
];

/** Topics of the stages, without prefix. */
export const COPY_TOPICS = ['telemetry.ingest', 'telemetry.unique', 'telemetry.audit'];

/** Groups of the stages with the full names of what they read. */
export function copyGroups(environment: string) {
  return COPY_STAGES.map(({ job, input }) => ({
    group: `chain.${job}`,
    topics: [fullTopic(environment, input)],
  }));
}

/** Copies until it is stopped; rejects with what ends it. As the runner does, it polls while it commits. */
export async function runCopy(
  log: Log,
  environment: string,
  { stage, signal }: { readonly stage: CopyStage; readonly signal: AbortSignal },
): Promise<void> {
  const consumer = await log.consume(`chain.${stage.job}`, [fullTopic(environment, stage.input)]);
  try {
    await copy(log, environment, { stage, signal, consumer });
  } finally {
    await consumer.close();
  }
}

async function copy(
  log: Log,
  environment: string,
  run: { readonly stage: CopyStage; readonly signal: AbortSignal; readonly consumer: Consumer },
): Promise<void> {
  const { job, input, output } = run.stage;
  let committing: Promise<unknown> = Promise.resolve();
  while (!run.signal.aborted) {
    const records = await run.consumer.poll({ recordsMax: 200, bytesMax: 1_000_000, waitMsMax: 200 });
    await committing;
    if (records.length === 0) continue;
    const outputs = new Map<number, NewRecord[]>();
    const ends = new Map<number, GroupOffset>();
    for (const { topic, partition, offset, key, timeMs, value } of records) {
      const list = outputs.get(partition) ?? [];
      list.push({ key, timeMs, headers: {}, value });
      outputs.set(partition, list);
      ends.set(partition, { group: `chain.${job}`, topic, partition, offset: offset + 1 });
    }
    const topic = fullTopic(environment, output);
    committing = log.commit({
      appends: [...outputs].map(([partition, list]) => ({ topic, partition, records: list })),
      offsets: [...ends.values()],
      counters: {
        [`edge.${job}.${input}`]: records.length,
        [`topic.${output}`]: records.length,
        [`${job}.received`]: records.length,
        [`${job}.emitted`]: records.length,
      },
    });
    committing.catch(() => {});
  }
  await committing;
}
