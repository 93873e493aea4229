import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ObservedTopic, planTopics, wantedTopics } from '../../src/adapters/log/kafka/topic-plan.ts';

const SETTINGS = {
  environment: 'dev',
  stored: ['telemetry.ingest', 'telemetry.audit'],
  internal: ['archive.intents'],
  partitions: 4,
  replication: 1,
  minInsync: 1,
  retentionMs: 604_800_000,
  recordBytesMax: 5_242_880,
};

/** What is there once every wanted topic is as it should be. */
function asWanted(wanted: ReturnType<typeof wantedTopics>): Map<string, ObservedTopic> {
  return new Map(wanted.map(({ topic, ...rest }) => [topic, rest]));
}

describe('plan of topics', () => {
  it('names the topics that are stored, the notes and the counters, notes compacted with one partition', () => {
    const wanted = wantedTopics(SETTINGS);
    assert.deepEqual(
      wanted.map(({ topic, partitions, configs }) => [topic, partitions, configs['cleanup.policy']]),
      [
        ['dev.telemetry.ingest', 4, 'delete'],
        ['dev.telemetry.audit', 4, 'delete'],
        ['dev.archive.intents', 1, 'compact'],
        ['dev.system.counters', 1, 'compact'],
      ],
    );
    assert.equal(wanted[0]!.configs['retention.ms'], '604800000');
  });

  it('takes larger records where they come of others than where they come in, up to what brokers take', () => {
    const limitsOf = (recordBytesMax: number): readonly number[] =>
      wantedTopics({ ...SETTINGS, recordBytesMax }).map(({ configs }) =>
        Number(configs['max.message.bytes']),
      );
    const MIB = 1_048_576;
    assert.deepEqual(limitsOf(5 * MIB), [6 * MIB, 48 * MIB, 48 * MIB, 48 * MIB]);
    assert.deepEqual(limitsOf(64 * MIB), [65 * MIB, 96 * MIB, 96 * MIB, 96 * MIB]);
  });

  it('creates what is missing and has nothing to do where all is as wanted', () => {
    const wanted = wantedTopics(SETTINGS);
    const steps = planTopics(wanted, { brokers: 1, topics: new Map() });
    assert.deepEqual(
      steps.map(step => step.kind),
      ['create', 'create', 'create', 'create'],
    );
    assert.deepEqual(planTopics(wanted, { brokers: 1, topics: asWanted(wanted) }), []);
  });

  it('adds partitions and changes the settings that differ, and those alone', () => {
    const topics = asWanted(wantedTopics(SETTINGS));
    const wanted = wantedTopics({ ...SETTINGS, partitions: 6, retentionMs: 1000 });
    assert.deepEqual(planTopics(wanted.slice(0, 1), { brokers: 1, topics }), [
      { kind: 'partitions', topic: 'dev.telemetry.ingest', from: 4, to: 6 },
      { kind: 'configs', topic: 'dev.telemetry.ingest', configs: { 'retention.ms': '1000' } },
    ]);
  });

  it('refuses fewer partitions, and more copies than there are brokers', () => {
    const topics = asWanted(wantedTopics(SETTINGS));
    const fewer = wantedTopics({ ...SETTINGS, partitions: 2 });
    assert.throws(() => planTopics(fewer, { brokers: 1, topics }), { code: 'ERR_CONFIG_INVALID' });
    const copies = wantedTopics({ ...SETTINGS, replication: 3 });
    assert.throws(() => planTopics(copies, { brokers: 2, topics: new Map() }), {
      code: 'ERR_REPLICAS_TOO_FEW',
      why: 'dev.telemetry.ingest is to have 3 copies, there are 2 brokers',
    });
  });
});
