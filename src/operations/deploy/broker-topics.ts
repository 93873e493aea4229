import type { Step } from '../../core/operation.ts';
import { embeddedUnit } from '../engine/embedded-unit.ts';
import { expectThat } from '../engine/expect.ts';
import type { Scope, Unit } from '../engine/operation.ts';
import type { TopicChange } from '../engine/site.ts';
import { standingOf } from '../provision/server-unit.ts';

/** Topics on brokers, on this machine or elsewhere: what is there is asked of them, never remembered. */
export function brokerTopics(target: 'host' | 'external'): Unit {
  return embeddedUnit({
    record: 'Deploy-KafkaSetup',
    component: 'topics on the brokers',
    // All that the wanted topics and where they lie follow from, and no more: another option is no drift.
    sections: [
      'chain.split',
      'topics.store',
      'log.partitions',
      'log.retentionMs',
      'ingest.bodyBytesMax',
      'kafka.replication',
      'kafka.minInsync',
      'kafka.target',
      'kafka.generation',
      'kafka.brokers',
    ],
    async steps(scope, isRecorded) {
      const standing = target === 'host' ? await standingOf(scope, 'kafka') : 'open';
      // Brokers that are stopped hold what they held: it was set up for just this configuration.
      if (standing === 'closed') return isRecorded ? [] : [unseenStep(scope)];
      return stepsOf(await scope.site.planTopics(standing === 'absent'), scope);
    },
    async verify({ site }) {
      const left = await site.planTopics(false);
      expectThat(left.length === 0, `not as declared: ${left.map(({ topic }) => topic).join(', ')}`);
      return site.check('kafka');
    },
  });
}

/** What is there is seen once the brokers answer. */
function unseenStep({ site }: Scope): Step {
  return {
    step: 'topics',
    what: 'bring the topics to what is declared',
    before: 'unknown: the brokers do not answer',
    after: 'as declared',
    async apply() {
      for (const kind of ['create', 'partitions', 'configs'] as const) await site.applyTopics(kind);
    },
  };
}

/** One step for all that are new, one for each that is to change. */
function stepsOf(changes: readonly TopicChange[], { site }: Scope): readonly Step[] {
  const fresh = changes.filter(({ kind }) => kind === 'create');
  const changed = changes.filter(({ kind }) => kind !== 'create');
  const create: Step = {
    step: 'create',
    what: `create ${fresh.map(({ topic }) => topic).join(', ')}`,
    before: null,
    after: `${fresh.length} topics`,
    apply: () => site.applyTopics('create'),
  };
  return [
    ...(fresh.length === 0 ? [] : [create]),
    ...changed.map(({ kind, topic, before, after }) => ({
      step: `${kind}-${topic}`,
      what: kind === 'partitions' ? `add partitions to ${topic}` : `change settings of ${topic}`,
      before,
      after,
      apply: () => site.applyTopics(kind, topic),
    })),
  ];
}
