import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import { parseJsonObject } from '../../core/event.ts';
import type { Step } from '../../core/operation.ts';
import { embeddedUnit } from '../engine/embedded-unit.ts';
import type { Operation, Scope } from '../engine/operation.ts';
import { DEPLOY_PARAMETERS } from '../engine/parameters.ts';
import { BUILDS } from '../engine/release.ts';
import type { WantedTopic } from '../engine/site.ts';
import { kafkaTarget } from '../engine/targets.ts';
import { brokerTopics } from './broker-topics.ts';

/** Deploy/<env>/DataPipeline/KafkaSetup. */
export const kafkaSetup: Operation = {
  folder: 'Deploy',
  name: 'KafkaSetup',
  title: 'Set up the topics',
  does: 'Brings topics and partitions to what is declared; partitions may grow, never shrink.',
  needs: [...BUILDS, 'Provision/Kafka'],
  parameters: DEPLOY_PARAMETERS,
  target: kafkaTarget,
  units: {
    embedded: embeddedUnit({
      record: 'Deploy-KafkaSetup',
      component: 'topics of the log',
      steps: topicSteps,
      async verify({ site }) {
        return { topics: site.topics().length, ...(await site.probe('log')) };
      },
    }),
    host: brokerTopics('host'),
    external: brokerTopics('external'),
  },
};

/** The topics that the log was last declared with: full name → partitions. */
function topicsFile({ site }: Scope): string {
  return join(site.paths.operations, 'topics.json');
}

async function topicSteps(scope: Scope): Promise<readonly Step[]> {
  const { site } = scope;
  const found = await declaredBefore(scope);
  const wanted = site.topics();
  const fresh = wanted.filter(({ topic }) => !found.has(topic));
  const other = wanted.filter(({ topic, partitions }) => (found.get(topic) ?? partitions) !== partitions);
  const shrunk = other.find(({ topic, partitions }) => partitions < (found.get(topic) ?? 0));
  if (shrunk !== undefined) {
    const had = found.get(shrunk.topic);
    throw new MillraceError(
      'ERR_CONFIG_INVALID',
      `${shrunk.topic} has ${had} partitions, not ${shrunk.partitions}`,
      {
        remedy: `Partitions never shrink, or equal keys would part: set log.partitions to ${had}.`,
      },
    );
  }
  const apply = () => declareTopics(scope, wanted);
  const names = (topics: readonly WantedTopic[]) => topics.map(({ topic }) => topic).join(', ');
  return [
    ...(fresh.length === 0
      ? []
      : [
          {
            step: 'create',
            what: `create ${names(fresh)}`,
            before: null,
            after: `${fresh.length} topics`,
            apply,
          },
        ]),
    ...(other.length === 0
      ? []
      : [
          {
            step: 'partitions',
            what: `add partitions to ${names(other)}`,
            before: `${found.get(other[0]!.topic)}`,
            after: `${other[0]!.partitions}`,
            apply,
          },
        ]),
  ];
}

/** What the log was last declared with. Nothing is known where the file was damaged: all is declared once more. */
async function declaredBefore(scope: Scope): Promise<ReadonlyMap<string, number>> {
  const { host, paths } = scope.site;
  // What was declared is gone with the log.
  const hasLog = (await host.stat(paths.log)) !== undefined;
  const bytes = hasLog ? await host.read(topicsFile(scope)) : undefined;
  const rows = bytes === undefined ? {} : (parseJsonObject(Buffer.from(bytes).toString('utf8')) ?? {});
  return new Map(Object.entries(rows).map(([topic, partitions]) => [topic, Number(partitions)]));
}

async function declareTopics(scope: Scope, topics: readonly WantedTopic[]): Promise<void> {
  await scope.site.declareTopics(topics);
  const rows = Object.fromEntries(topics.map(({ topic, partitions }) => [topic, partitions]));
  await scope.site.host.put(topicsFile(scope), `${JSON.stringify(rows)}\n`, { mode: 0o600 });
}
