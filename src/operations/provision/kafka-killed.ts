import { join } from 'node:path';
import type { Host } from '../../core/host.ts';
import type { StepContext } from '../../core/operation.ts';
import { type KafkaLogin, unregisterBroker } from './kafka-request.ts';
import { QUORUM_STATE } from './kafka-storage.ts';
import { untilAnswered } from './ready.ts';
import { READY_MS_MAX } from './server.ts';
import { type ServerProcess, startProcess } from './server-process.ts';

/** A node that is a broker and a controller, on this host. */
export interface CombinedNode {
  readonly id: number;
  readonly name: string;
  readonly data: string;
  /** The same process as a controller alone: its only file is put before it starts. */
  readonly controller: ServerProcess;
}

/** All nodes of a cluster. */
export interface CombinedCluster {
  readonly brokers: readonly CombinedNode[];
  readonly login: KafkaLogin;
}

/** Written by a broker as the last of a clean stop, removed by the next start. */
const CLEAN_STOP = '.kafka_cleanshutdown';

/**
 * Ends the registrations of brokers that were killed, before some of them start and while none of the cluster runs.
 *
 * A killed broker stays registered until its session ends, and leads its partitions. One that starts meanwhile loads
 * them by that, and its transaction coordinator goes on with what was decided or has timed out. Then the session ends
 * and nobody leads for a moment. Kafka 4.3.1, and 4.4.0 too, takes a partition that nobody leads for one that was
 * deleted (KAFKA-20734, `KRaftMetadataCache.getPartitionLeaderEndpoint`; 4.2 did not), writes no marker, and readers
 * of committed records stand still for good: 3 of 4 kills of a broker alone with an open transaction ended so. Once
 * the registration has ended, a broker that starts loads its partitions when it leads them again, and not before.
 *
 * Only a controller can end it, so the nodes run as controllers alone for a moment, which takes about as long as
 * the session took. Cut off anywhere: they run with another digest than the brokers, and the next run begins again.
 * @param names  processes that are stopped and about to be started: enough of the cluster for a majority
 */
export async function endRegistrations(
  context: StepContext,
  { brokers: nodes, login }: CombinedCluster,
  names: readonly string[],
): Promise<void> {
  const { host, progress, signal } = context;
  const killed: CombinedNode[] = [];
  for (const node of nodes) {
    // Another one that runs has taken over what it can, and leads.
    if ((await host.process(node.name)).state === 'running') return;
    if (await wasKilled(host, node)) killed.push(node);
  }
  if (killed.length === 0) return;
  progress(`ending the registration of ${killed.map(({ name }) => name).join(', ')}, killed`);
  const started = nodes.filter(({ name }) => names.includes(name));
  for (const { controller } of started) {
    for (const { path, rights, content } of controller.files) {
      await host.put(path, (await content(host)) ?? '', rights);
    }
    await startProcess(context, controller);
  }
  const ports = started.flatMap(({ controller }) => controller.ports);
  for (const { id } of killed) {
    await untilAnswered(host, { processes: names, deadlineMs: READY_MS_MAX, signal }, () =>
      askAny(ports, port => unregisterBroker(host, { port, login }, id)),
    );
  }
  await Promise.all(names.map(name => host.stop(name)));
}

async function wasKilled(host: Host, { data }: CombinedNode): Promise<boolean> {
  const hasRun = (await host.stat(join(data, QUORUM_STATE))) !== undefined;
  return hasRun && (await host.stat(join(data, CLEAN_STOP))) === undefined;
}

/** The first that does not throw: one controller is the active one. */
async function askAny(ports: readonly number[], ask: (port: number) => Promise<void>): Promise<void> {
  let failed: unknown;
  for (const port of ports) {
    try {
      return await ask(port);
    } catch (error) {
      failed = error;
    }
  }
  throw failed;
}
