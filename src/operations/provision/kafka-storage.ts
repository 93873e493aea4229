import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { readText } from './managed-file.ts';
import type { Part } from './part.ts';

/** The nodes of a cluster, each with its storage. */
export interface ClusterStorage {
  readonly isKraft: boolean;
  readonly brokers: readonly { readonly id: number; readonly data: string }[];
}

/** In the storage of a node, lists the controllers that it knew last; there once it has run as one itself. */
export const QUORUM_STATE = '__cluster_metadata-0/quorum-state';

/**
 * The storage of Kafka as a part that is never due: says beforehand where Kafka of another generation wrote it, or a
 * cluster of another number of controllers.
 *
 * Kafka takes the list of its controllers from the configuration and does not ask whether it was another one (4.3.1
 * goes on with three where it was one). Two that are added to one are a majority that knows nothing: what they agree on
 * before it is up may stand against the topics that it knows.
 */
export function storagePart({ isKraft, brokers }: ClusterStorage): Part {
  const ids = brokers.map(({ id }) => id);
  return {
    step: 'storage',
    what: 'look at the storage of Kafka',
    async observe(host) {
      for (const { data } of brokers) {
        await refuseOtherGeneration(host, data, isKraft);
        if (isKraft) await refuseOtherControllers(host, data, ids);
      }
      return undefined;
    },
    async apply() {},
  };
}

async function refuseOtherGeneration(host: Host, data: string, isKraft: boolean): Promise<void> {
  const text = (await readText(host, join(data, 'meta.properties'))) ?? '';
  if (!(isKraft ? /^broker\.id=/m : /^node\.id=/m).test(text)) return;
  const [found, generation] = isKraft
    ? ['Kafka 3.9 with ZooKeeper', 'zookeeper']
    : ['Kafka 4 without ZooKeeper', 'kraft'];
  throw new MillraceError('ERR_DATA_FORMAT', `${data} was written by ${found}`, {
    remedy: `Set kafka.generation to ${generation}, or use another --data.`,
  });
}

async function refuseOtherControllers(host: Host, data: string, ids: readonly number[]): Promise<void> {
  const text = (await readText(host, join(data, QUORUM_STATE))) ?? '';
  const found = [...text.matchAll(/"voterId":(\d+)/g)].map(([, id]) => Number(id));
  if (found.length === 0 || found.toSorted().join() === ids.join()) return;
  const why = `kafka.nodes is ${ids.length}, and ${data} is of a cluster of ${found.length}`;
  throw new MillraceError('ERR_CONFIG_INVALID', why, {
    remedy: `Set kafka.nodes to ${found.length}, or use another --data: a cluster that is there keeps its number.`,
  });
}
