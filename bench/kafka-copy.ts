import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openKafkaAdmin } from '../src/adapters/log/kafka/kafka-admin.ts';
import type { KafkaConnection } from '../src/adapters/log/kafka/kafka-settings.ts';
import { planTopics, wantedTopics } from '../src/adapters/log/kafka/topic-plan.ts';
import { stopServers } from '../src/operations/provision/servers.ts';
import { connectionTo } from '../test/servers/kafka-connection.ts';
import { startServers } from '../test/servers/servers.ts';
import { cpuPerEvent, readCpu } from './processes.ts';

/** What copier and reader are told, in a message: it holds the password. */
export interface CopyOrder {
  readonly connection: KafkaConnection;
  readonly clientPath: string;
  readonly input: string;
  readonly output: string;
  readonly partitions: number;
  readonly events: number;
  /** The copier says when it has copied so many. */
  readonly warmUpEvents: number;
}

/** What they say. */
export type CopySaid = 'ready' | 'warm' | 'done';

/** Events a second, and microseconds of CPU for an event by what they went to. */
export interface Drained {
  readonly rate: number;
  readonly parts: readonly (readonly [part: string, us: number])[];
}

const PARTITIONS = 4;

/**
 * What Kafka alone costs, beside the pipeline on it: the same broker, client, settings and transactions, each event
 * copied as it stands to one record with a key and a header, and read by another process, committed ones only. No
 * event is looked at, nothing is stored elsewhere. Undefined where this machine cannot run Kafka.
 * @param reader  how it is read: by the pipeline's fetcher, or by the native client
 */
export async function measureCopy(
  events: number,
  reader: 'fetcher' | 'reader',
): Promise<Drained | undefined> {
  const kafka = await startServers(['kafka']);
  if ('skip' in kafka) return undefined;
  const { context, servers, config } = kafka;
  const connection = connectionTo(config);
  const order: CopyOrder = {
    connection,
    clientPath: config['kafka.clientFolder'],
    input: 'test.copy.input',
    output: 'test.copy.output',
    partitions: PARTITIONS,
    events,
    warmUpEvents: events / 4,
  };
  const children: ChildProcess[] = [];
  try {
    await createTopics(connection);
    for (const role of ['copier', reader]) {
      const child = fork(join(import.meta.dirname, `kafka-${role}.ts`));
      children.push(child);
      child.send(order);
      await heard(child, 'ready');
    }
    for (const child of children) child.send('go');
    await heard(children[0]!, 'warm');
    const [startedMs, startedCpu] = [performance.now(), await readCpu(context.dataDirectory)];
    await Promise.all(children.map(child => heard(child, 'done')));
    const [wallMs, endedCpu] = [performance.now() - startedMs, await readCpu(context.dataDirectory)];
    const measured = events - order.warmUpEvents;
    return { rate: measured / (wallMs / 1000), parts: cpuPerEvent([startedCpu, endedCpu], measured) };
  } finally {
    for (const child of children) child.kill();
    await stopServers(context.host, servers);
  }
}

async function createTopics(connection: KafkaConnection): Promise<void> {
  const admin = openKafkaAdmin(connection, 10_000);
  const wanted = wantedTopics({
    environment: 'test',
    stored: ['copy.input', 'copy.output'],
    internal: [],
    partitions: PARTITIONS,
    replication: 1,
    minInsync: 1,
    retentionMs: 3_600_000,
    recordBytesMax: 8 * 1024 * 1024,
  });
  try {
    await admin.applyTopics(planTopics(wanted, await admin.observeTopics(wanted)));
  } finally {
    await admin.close();
  }
}

/** Resolves with that word; rejects where the child ends before. */
async function heard(child: ChildProcess, word: CopySaid): Promise<void> {
  const ended = new AbortController();
  child.once('exit', () => ended.abort());
  // Ends: the child says it, or ends.
  for (;;) {
    const [said] = (await once(child, 'message', { signal: ended.signal })) as [CopySaid];
    if (said === word) return;
  }
}
