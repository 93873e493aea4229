import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka';
import { openKafkaAdmin } from '../../src/adapters/log/kafka/kafka-admin.ts';
import { openKafkaLog } from '../../src/adapters/log/kafka/kafka-log.ts';
import { adminSettings, type KafkaConnection } from '../../src/adapters/log/kafka/kafka-settings.ts';
import { planTopics, wantedTopics } from '../../src/adapters/log/kafka/topic-plan.ts';
import type { MillraceError } from '../../src/core/errors.ts';
import type { ServedLog } from '../../src/core/ports.ts';
import type { LogRecord } from '../../src/core/record.ts';
import { fullTopic } from '../../src/core/topics.ts';
import {
  CLIENT_PATH,
  CONNECTION,
  createTopics,
  freshEnvironment,
  kafkaLogOptions,
  SKIP,
} from './kafka-fixture.ts';
import { recordOf, textOf } from './open-log.ts';
import { freePort, startSecureKafka } from './secure-kafka.ts';

const SETTINGS = { partitions: 2, minInsync: 1, recordBytesMax: 1_048_576, internal: [] } as const;
/** Errors are named within seconds: an operator waits for them. */
const NAMED_MS_MAX = 6_000;
const WAIT_MS_MAX = 30_000;

/** What a read gives once there is something: a member joins first, and a transaction shows a moment after its end. */
async function untilSome(read: () => Promise<readonly LogRecord[]>): Promise<readonly LogRecord[]> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const records = await read();
    if (records.length > 0) return records;
    assert.ok(performance.now() < deadlineMs, 'records come');
  }
}

async function rejectsSoon(
  call: () => Promise<unknown>,
  expected: { code: string; why?: RegExp; remedy?: RegExp },
) {
  const startedMs = performance.now();
  await assert.rejects(call, expected);
  assert.ok(performance.now() - startedMs < NAMED_MS_MAX, `${expected.code} comes within seconds`);
}

describe('log on Kafka: topics', { skip: SKIP }, () => {
  it('creates, changes and grows topics, and is then as planned', async test => {
    const admin = openKafkaAdmin(CONNECTION, 5_000);
    test.after(() => admin.close());
    const settings = {
      ...SETTINGS,
      environment: freshEnvironment(),
      stored: ['alpha'],
      replication: 1,
      retentionMs: 60_000,
    };
    for (const wanted of [
      wantedTopics(settings),
      wantedTopics({ ...settings, partitions: 5, retentionMs: 120_000 }),
    ]) {
      await admin.applyTopics(planTopics(wanted, await admin.observeTopics(wanted)));
      const observed = await admin.observeTopics(wanted);
      assert.deepEqual(planTopics(wanted, observed), []);
      assert.equal(observed.topics.get(wanted[0]!.topic)!.partitions, wanted[0]!.partitions);
    }
    const lowered = wantedTopics(settings);
    const observed = await admin.observeTopics(lowered);
    assert.throws(() => planTopics(lowered, observed), { code: 'ERR_CONFIG_INVALID' });
    // A step that was taken already changes nothing.
    await admin.applyTopics([{ kind: 'create', topic: lowered[0]! }]);
    const copies = wantedTopics({ ...settings, environment: freshEnvironment(), replication: 7 });
    await admin
      .observeTopics(copies)
      .then(seen => assert.throws(() => planTopics(copies, seen), { code: 'ERR_REPLICAS_TOO_FEW' }));
  });
});

describe('log on Kafka: errors by name', { skip: SKIP }, () => {
  it('names what keeps it from opening', async () => {
    const environment = freshEnvironment();
    const open = (options: Parameters<typeof kafkaLogOptions>[1]) =>
      openKafkaLog(kafkaLogOptions(environment, options));
    await rejectsSoon(() => open({}), { code: 'ERR_TOPIC_MISSING', why: new RegExp(`${environment}\\.`) });
    await createTopics(environment, { alpha: 2, beta: 1 });
    await rejectsSoon(() => open({ minInsync: 2 }), { code: 'ERR_REPLICAS_TOO_FEW', why: /alpha:0/ });
    await rejectsSoon(() => open({ clientPath: `${CLIENT_PATH}-not` }), { code: 'ERR_CLIENT_MISSING' });
    const nobody = { ...CONNECTION, brokers: [`127.0.0.1:${await freePort()}`] };
    await rejectsSoon(() => open({ connection: nobody }), {
      code: 'ERR_STORE_UNAVAILABLE',
      why: /127\.0\.0\.1:\d+/,
    });
  });
});

describe('log on Kafka: with TLS, a login and rights', { skip: SKIP }, async () => {
  if (SKIP !== false) return;
  const { root, app, strangerCaFile } = await startSecureKafka();

  async function grant(
    resourceType: keyof typeof ResourceTypes,
    name: string,
    operation: keyof typeof AclOperations = 'ALL',
  ) {
    const admin = new Admin(adminSettings(root, 5_000));
    await admin.createAcls({
      creations: [
        {
          resourceType: ResourceTypes[resourceType],
          resourceName: name,
          resourcePatternType: ResourcePatternTypes.PREFIXED,
          principal: `User:${app.username}`,
          host: '*',
          operation: AclOperations[operation],
          permissionType: AclPermissionTypes.ALLOW,
        },
      ],
    });
    await admin.close();
  }

  const open = (environment: string, connection: KafkaConnection = app) => {
    const groups = [{ group: 'g', topics: [fullTopic(environment, 'alpha')] }];
    return openKafkaLog(kafkaLogOptions(environment, { connection, groups }));
  };

  /** Opens the log once it is no longer refused for this: brokers learn of a right a moment after it was granted. */
  async function opened(environment: string, refusal: RegExp): Promise<ServedLog | undefined> {
    const deadlineMs = performance.now() + WAIT_MS_MAX;
    for (;;) {
      try {
        return await open(environment);
      } catch (error) {
        const { why } = error as MillraceError;
        if (!refusal.test(why)) return undefined;
        assert.ok(performance.now() < deadlineMs, why);
      }
    }
  }

  it('names the right to write where that is missing', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 2, beta: 1 }, root);
    for (const operation of ['DESCRIBE', 'READ'] as const) await grant('TOPIC', environment, operation);
    for (const resource of ['GROUP', 'TRANSACTIONAL_ID'] as const) await grant(resource, environment);
    // Of no topic yet: it may not number what it writes.
    assert.equal(await opened(environment, /look at|use /), undefined);
    await rejectsSoon(() => open(environment), { code: 'ERR_STORE_RIGHTS', why: /needs WRITE on topics/ });
    const [alpha, beta] = ['alpha', 'beta'].map(name => fullTopic(environment, name)) as [string, string];
    for (const topic of [alpha, `${environment}.system`]) await grant('TOPIC', topic, 'WRITE');
    const log = (await opened(environment, /needs WRITE/))!;
    test.after(() => log.close());
    const appends = [{ topic: beta, partition: 0, records: [recordOf('a')] }];
    await rejectsSoon(() => log.commit({ appends }), {
      code: 'ERR_STORE_RIGHTS',
      why: new RegExp(`write to ${beta}`),
    });
    await rejectsSoon(() => log.commit({ appends, counters: { 'copy.received': 1 } }), {
      code: 'ERR_LOG_FENCED',
      why: new RegExp(beta),
      remedy: /Grant/,
    });
  });

  it('names a wrong login and each right that is missing, then works', async test => {
    const environment = freshEnvironment();
    await createTopics(environment, { alpha: 2, beta: 1 }, root);
    await rejectsSoon(() => open(environment, { ...app, password: 'wrong' }), { code: 'ERR_STORE_AUTH' });
    await rejectsSoon(() => open(environment, { ...app, caFile: strangerCaFile }), {
      code: 'ERR_STORE_UNAVAILABLE',
      remedy: /kafka\.caFile/,
    });
    await rejectsSoon(() => open(environment, { ...app, tls: false }), {
      code: 'ERR_STORE_UNAVAILABLE',
      remedy: /kafka\.tls/,
    });
    await rejectsSoon(() => open(environment), {
      code: 'ERR_STORE_RIGHTS',
      why: new RegExp(`topics ${environment}`),
    });
    const granted = async (
      resourceType: keyof typeof ResourceTypes,
      operation: keyof typeof AclOperations,
      refusal: RegExp,
    ) => {
      await grant(resourceType, environment, operation);
      await (await opened(environment, refusal))?.close();
    };
    await granted('TOPIC', 'ALL', /topics/);
    await rejectsSoon(() => open(environment), {
      code: 'ERR_STORE_RIGHTS',
      why: new RegExp(`group ${environment}\\.g`),
    });
    await granted('GROUP', 'READ', /group/);
    await rejectsSoon(() => open(environment), { code: 'ERR_STORE_RIGHTS', why: /transactional id/ });
    await granted('TRANSACTIONAL_ID', 'WRITE', /transactional id/);

    const log = await open(environment);
    test.after(() => log.close());
    const [alpha, beta] = ['alpha', 'beta'].map(name => fullTopic(environment, name)) as [string, string];
    await log.commit({ appends: [{ topic: alpha, partition: 0, records: [recordOf('a')] }] });
    const consumer = await log.consume('g', [alpha]);
    const poll = () => consumer.poll({ recordsMax: 9, bytesMax: 9_000, waitMsMax: 1_000 });
    const records = await untilSome(poll);
    await log.commit({
      appends: [{ topic: beta, partition: 0, records: records.map(record => recordOf(textOf(record))) }],
      offsets: [{ group: 'g', topic: alpha, partition: 0, offset: 1 }],
    });
    const copies = await untilSome(() => log.read(beta, 0, 0, 9));
    assert.deepEqual(copies.map(textOf), ['a']);
    await consumer.close();
  });
});
