import { openKafkaAdmin } from '../adapters/log/kafka/kafka-admin.ts';
import { type KafkaLogOptions, openKafkaLog, transactionalIdOf } from '../adapters/log/kafka/kafka-log.ts';
import type { KafkaConnection, KafkaMechanism } from '../adapters/log/kafka/kafka-settings.ts';
import { checkOpenTransactions } from '../adapters/log/kafka/open-transactions.ts';
import {
  type ObservedTopics,
  planTopics,
  type TopicStep,
  type WantedTopic,
  wantedTopics,
} from '../adapters/log/kafka/topic-plan.ts';
import type { Config } from '../config/options.ts';
import { resolveSecret } from '../config/secret.ts';
import { assertNever, MillraceError } from '../core/errors.ts';
import type { ServedLog } from '../core/ports.ts';
import type { StoreCheck, StoreFinding } from '../core/store-check.ts';
import { fullTopic, TOPICS, topicKind } from '../core/topics.ts';
import type { Logger } from '../observability/logger.ts';
import type { TopicChange } from '../operations/engine/site.ts';
import { ARCHIVE_GROUP } from '../runtime/archive/offsets.ts';
import { archivedTopics, groupOf, type Layout } from '../runtime/segments.ts';
import { composeLayout, describeJobs, readersOf, sinkReaders } from './compose-jobs.ts';
import type { ProcessSetup } from './worker-setup.ts';

/** An environment whose log is on Kafka. */
interface Place {
  readonly config: Config;
  readonly environment: string;
}

interface KafkaPlace extends Place {
  readonly layout: Layout;
}

const ALL_TOPICS = Object.keys(TOPICS);

/** The log as the process that serves HTTP holds it; `hasRead` says of the archive whether it has read all. */
export async function openServedKafka(
  place: KafkaPlace,
  logger: Logger,
  hasRead: () => Promise<boolean>,
): Promise<ServedLog> {
  return openKafkaLog({
    ...(await optionsOf(place, readersOf(place.layout, place.config))),
    role: 'serve',
    instance: 0,
    hasRead: async group => (group === ARCHIVE_GROUP ? hasRead() : undefined),
    logger,
  });
}

/** The log as a worker in a process of its own holds it: it knows the groups of every layout there ever was. */
export async function openWorkerKafka(setup: ProcessSetup, logger: Logger): Promise<ServedLog> {
  const { config, environment, role, instance } = setup;
  const jobs = describeJobs(config);
  const place = { config, environment, layout: composeLayout(jobs, config) };
  const groups = jobs.map(job => ({ group: groupOf(job), topics: job.inputs }));
  const options = await optionsOf(place, [...groups, ...sinkReaders(place.layout, config)]);
  return openKafkaLog({ ...options, role, instance, logger });
}

/** A topic that is not as layout and configuration want it. */
interface DueTopic {
  readonly step: TopicStep;
  readonly change: TopicChange;
}

/**
 * What the brokers lack of the wanted topics; `isNew`: of brokers that are to be started and hold nothing yet. Throws
 * ERR_REPLICAS_TOO_FEW, ERR_CONFIG_INVALID, and what the brokers refuse.
 */
export async function dueTopics(
  { config, environment }: Place,
  isNew: boolean,
): Promise<readonly DueTopic[]> {
  const wanted = wantedIn({ config, environment });
  if (isNew) return planned(wanted, { brokers: config['kafka.nodes'], topics: new Map() });
  return withAdmin(config, async admin => planned(wanted, await admin.observeTopics(wanted)));
}

/** Makes the changes that are due and meant, one after another. */
export async function applyDueTopics(
  { config, environment }: Place,
  isMeant: (change: TopicChange) => boolean,
): Promise<void> {
  const wanted = wantedIn({ config, environment });
  await withAdmin(config, async admin => {
    const due = planned(wanted, await admin.observeTopics(wanted));
    await admin.applyTopics(due.filter(({ change }) => isMeant(change)).map(({ step }) => step));
  });
}

/** Throws where the brokers are not reached, refuse the login, or are fewer than copies are wanted. */
export async function describeBrokers(config: Config): Promise<string> {
  const { brokers } = await withAdmin(config, admin => admin.observeTopics([]));
  const wanted = config['kafka.replication'];
  if (brokers >= wanted) return `${brokers} of Kafka`;
  throw new MillraceError(
    'ERR_REPLICAS_TOO_FEW',
    `kafka.replication is ${wanted}, there are ${brokers} brokers`,
  );
}

/** What a look at Kafka told. */
interface KafkaCheck extends StoreCheck {
  readonly brokers: number;
}

/**
 * Looks at the Kafka of the configuration; changes nothing. Rights are asked for only where the topics are there:
 * brokers make their own with the first such question. Throws where Kafka is not reached, or too old.
 */
export async function checkConfiguredKafka({ config, environment }: Place): Promise<KafkaCheck> {
  const wanted = wantedIn({ config, environment });
  return withAdmin(config, async admin => {
    const version = await admin.release();
    const observed = await admin.observeTopics(wanted);
    const present = wanted.flatMap(({ topic }) => (observed.topics.has(topic) ? [topic] : []));
    const isComplete = present.length === wanted.length;
    const groups = readersOf(composeLayout(describeJobs(config), config), config);
    const groupIds = groups.map(({ group }) => fullTopic(environment, group));
    const id = transactionalIdOf({ environment, role: 'serve', instance: 0 });
    const findings = [
      ...copyFindings(wanted, observed),
      ...(await refusalOf(async () => planTopics(wanted, observed))),
      ...(await refusalOf(async () => {
        const topics = await admin.check(present, config['kafka.minInsync']);
        await checkOpenTransactions(admin, topics);
      })),
      ...(isComplete ? await refusalOf(() => admin.checkRights(groupIds, id)) : []),
      ...(isComplete ? [] : [missingTopics(wanted.length - present.length)]),
    ];
    return { version, brokers: observed.brokers, findings };
  });
}

/** Topics that have fewer copies than are wanted: nothing here adds any, which the brokers' own tools do. */
function copyFindings(wanted: readonly WantedTopic[], { topics }: ObservedTopics): readonly StoreFinding[] {
  const few = wanted.filter(
    ({ topic, replication }) => (topics.get(topic)?.replication ?? replication) < replication,
  );
  if (few.length === 0) return [];
  const [first] = few;
  const problem =
    `${few.length} topics have fewer copies than kafka.replication, ${first!.replication}: ` +
    `${first!.topic} has ${topics.get(first!.topic)!.replication}`;
  const remedy = 'Add copies with kafka-reassign-partitions, or lower kafka.replication to what is wanted.';
  return [{ code: 'ERR_REPLICAS_TOO_FEW', severity: 'warning', problem, remedy }];
}

function missingTopics(count: number): StoreFinding {
  const problem = `${count} topics are not there yet`;
  return { code: 'ERR_TOPIC_MISSING', severity: 'warning', problem, remedy: 'millrace up makes them.' };
}

/** The named error that a look ends with, as a finding. */
async function refusalOf(look: () => Promise<unknown>): Promise<readonly StoreFinding[]> {
  try {
    await look();
    return [];
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return [{ code: error.code, severity: 'error', problem: error.why, remedy: error.remedy }];
  }
}

function wantedIn({ config, environment }: Place): readonly WantedTopic[] {
  const layout = composeLayout(describeJobs(config), config);
  return wantedOf({ config, environment, layout }, archivedTopics(layout));
}

function planned(wanted: readonly WantedTopic[], observed: ObservedTopics): readonly DueTopic[] {
  return planTopics(wanted, observed).map(step => ({ step, change: changeOf(step, observed) }));
}

function changeOf(step: TopicStep, { topics }: ObservedTopics): TopicChange {
  switch (step.kind) {
    case 'create':
      return { kind: step.kind, topic: step.topic.topic, before: null, after: 'there' };
    case 'partitions':
      return { kind: step.kind, topic: step.topic, before: `${step.from}`, after: `${step.to}` };
    case 'configs': {
      const text = (values: Readonly<Record<string, string>>) =>
        Object.keys(step.configs)
          .map(name => `${name}=${values[name] ?? ''}`)
          .join(', ');
      const before = text(topics.get(step.topic)?.configs ?? {});
      return { kind: step.kind, topic: step.topic, before, after: text(step.configs) };
    }
    default:
      return assertNever(step);
  }
}

async function optionsOf(
  place: KafkaPlace,
  readers: readonly { group: string; topics: readonly string[] }[],
) {
  const { config, environment } = place;
  const named = (name: string) => fullTopic(environment, name);
  const internal = ALL_TOPICS.filter(name => topicKind(name) === 'internal');
  // What an earlier layout left on a topic between jobs must be readable.
  const present = await withAdmin(config, async admin => {
    const { topics } = await admin.observeTopics(wantedOf(place, ALL_TOPICS));
    return ALL_TOPICS.filter(name => topics.has(named(name)));
  });
  const topics = new Set([...archivedTopics(place.layout), ...internal, ...present]);
  return {
    connection: connectionOf(config),
    clientPath: config['kafka.clientFolder'],
    environment,
    topics: [...topics].map(named),
    plainTopics: ALL_TOPICS.filter(name => topicKind(name) === 'input')
      .concat(internal)
      .map(named),
    groups: readers.map(({ group, topics: names }) => ({
      group,
      topics: names.filter(name => topics.has(name)).map(named),
    })),
    unmovedGroups: [ARCHIVE_GROUP],
    minInsync: config['kafka.minInsync'],
    requestMsMax: config['kafka.requestMsMax'],
    queueBytesMax: config['log.queueBytesMax'],
  } satisfies Partial<KafkaLogOptions>;
}

function wantedOf({ config, environment }: KafkaPlace, stored: readonly string[]): readonly WantedTopic[] {
  return wantedTopics({
    environment,
    stored: stored.filter(name => topicKind(name) !== 'internal'),
    internal: ALL_TOPICS.filter(name => topicKind(name) === 'internal'),
    partitions: config['log.partitions'],
    replication: config['kafka.replication'],
    minInsync: config['kafka.minInsync'],
    retentionMs: config['log.retentionMs'],
    recordBytesMax: config['ingest.bodyBytesMax'],
  });
}

async function withAdmin<T>(
  config: Config,
  use: (admin: ReturnType<typeof openKafkaAdmin>) => Promise<T>,
): Promise<T> {
  const admin = openKafkaAdmin(connectionOf(config), config['kafka.requestMsMax']);
  try {
    return await use(admin);
  } finally {
    await admin.close();
  }
}

function connectionOf(config: Config): KafkaConnection {
  return {
    brokers: config['kafka.brokers'],
    tls: config['kafka.tls'],
    caFile: config['kafka.caFile'],
    mechanism: mechanismOf(config['kafka.mechanism']),
    username: config['kafka.username'],
    password: config['kafka.password'] === '' ? '' : resolveSecret(config['kafka.password']),
  };
}

function mechanismOf(name: string): KafkaMechanism {
  return name === 'plain' || name === 'scram-sha-256' ? name : 'scram-sha-512';
}
