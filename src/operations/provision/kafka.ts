import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { StepContext } from '../../core/operation.ts';
import { javaPart } from './java.ts';
import kafka39 from './kafka-3.9.2.lock.json' with { type: 'json' };
import kafka43 from './kafka-4.3.1.lock.json' with { type: 'json' };
import {
  brokerText,
  controllerText,
  jaasText,
  KAFKA_USER,
  LOG_FILE_PROPERTY,
  LOG4J_TEXT,
  LOG4J2_TEXT,
} from './kafka-config.ts';
import { endRegistrations } from './kafka-killed.ts';
import { askBroker, type KafkaLogin } from './kafka-request.ts';
import { storagePart } from './kafka-storage.ts';
import {
  filePart,
  folderPart,
  type ManagedFile,
  readText,
  secretPart,
  secretTextFile,
} from './managed-file.ts';
import { jarFolder, jarsPart } from './maven-jars.ts';
import type { Part } from './part.ts';
import { untilAnswered } from './ready.ts';
import { type Place, READY_MS_MAX, type Server, type ServerContext } from './server.ts';
import { processPart, type ServerProcess } from './server-process.ts';
import { untilUnregistered } from './zookeeper.ts';

interface Broker {
  readonly id: number;
  readonly name: string;
  readonly port: number;
  readonly data: string;
  readonly settings: ManagedFile;
  readonly process: ServerProcess;
  /** The same as a controller alone, where it has one (KRaft). */
  readonly controller: ServerProcess;
}

/** What the brokers of an environment have in common. */
interface Cluster {
  readonly folder: string;
  readonly isKraft: boolean;
  readonly jars: string;
  readonly logging: ManagedFile;
  readonly login: KafkaLogin;
  /** Who may log in, as the brokers read it. */
  readonly users: ManagedFile;
  readonly brokers: readonly Broker[];
}

const NAME = 'kafka';

const HEAP = '256m';
const FORMAT_MS_MAX = 120_000;
const STOP_MS_MAX = 12_000;
/** Five times what a session lives (`zookeeper.session.timeout.ms`): it begins anew with another ZooKeeper. */
const SESSION_MS_MAX = 30_000;

/**
 * Kafka on a host, loopback, by password on every port: 4.3 as its own controllers (KRaft), or 3.9 on the
 * environment's ZooKeeper, which must come before it. One broker, or up to three.
 */
export async function kafkaServer(context: ServerContext): Promise<Server> {
  const { place } = context;
  const cluster = describeCluster(context);
  const { brokers, isKraft, folder, logging, login, users } = cluster;
  const names = brokers.map(({ name }) => name);
  const ready = async (host: Host, started: readonly string[], signal: AbortSignal) => {
    for (const broker of brokers.filter(({ name }) => started.includes(name))) {
      await untilAnswered(host, { processes: started, deadlineMs: READY_MS_MAX, signal }, () =>
        checkBroker(host, { broker, login }, [broker.id]),
      );
    }
  };
  // A broker that was killed is registered until its session ends, and one that starts meanwhile gives up.
  const sessionsEnded = async (step: StepContext, started: readonly string[]) => {
    const ids = brokers.filter(({ name }) => started.includes(name)).map(({ id }) => id);
    const wait = { ids, msMax: SESSION_MS_MAX };
    await untilUnregistered(step, place.ports.portOf('zookeeper'), wait);
  };
  return {
    name: NAME,
    parts: [
      storagePart(cluster),
      javaPart(names),
      jarsPart(place.cache, isKraft ? kafka43 : kafka39),
      folderPart('folder', folder, { mode: 0o700 }),
      filePart(logging),
      secretPart('secret', `draw the password of ${KAFKA_USER}`, login.secretFile),
      filePart(users),
      ...brokers.map(({ settings }) => filePart(settings)),
      ...(isKraft ? [formatPart(cluster)] : []),
      processPart(
        'Kafka',
        brokers.map(({ process }) => process),
        ready,
        {
          // A JVM that starts takes a core; a controller alone waits for the majority of them.
          startsMax: cpuCount => Math.max(cpuCount, Math.floor(brokers.length / 2) + 1),
          mayStart: isKraft ? (step, started) => endRegistrations(step, cluster, started) : sessionsEnded,
        },
      ),
    ],
    processes: names,
    folder,
    data: brokers.map(({ data }) => data),
    secrets: [{ name: NAME, file: login.secretFile, made: [], usedBy: NAME, isServedWith: true }],
    verify: (host, msMax = READY_MS_MAX) => verify(host, cluster, msMax),
    bindings: {
      'kafka.brokers': brokers.map(({ port }) => `127.0.0.1:${port}`),
      'kafka.tls': false,
      'kafka.mechanism': 'plain',
      'kafka.username': KAFKA_USER,
      'kafka.password': `file:${login.secretFile}`,
    },
  };
}

function describeCluster({ place, config }: ServerContext): Cluster {
  const isKraft = config['kafka.generation'] === 'kraft';
  const folder = join(place.root, 'servers/kafka');
  const jars = jarFolder(place.cache, isKraft ? kafka43 : kafka39);
  const logging: ManagedFile = {
    step: 'logging',
    what: 'write what Kafka logs',
    path: join(folder, isKraft ? 'log4j2.properties' : 'log4j.properties'),
    rights: { mode: 0o600 },
    content: async () => (isKraft ? LOG4J2_TEXT : LOG4J_TEXT),
  };
  const login = { user: KAFKA_USER, secretFile: join(place.root, 'secrets', NAME) };
  const users = secretTextFile(
    { step: 'users', what: 'write who may log in to Kafka', path: join(folder, 'users.jaas') },
    login.secretFile,
    jaasText,
  );
  const common = { folder, isKraft, jars, logging, login, users };
  const ids = Array.from({ length: config['kafka.nodes'] }, (_, index) => index + 1);
  return { ...common, brokers: ids.map(id => describeBroker({ place, ids }, common, id)) };
}

function describeBroker(
  { place, ids }: { readonly place: Place; readonly ids: readonly number[] },
  common: Omit<Cluster, 'brokers'>,
  id: number,
): Broker {
  const { folder, isKraft, logging, users } = common;
  const controllerPort = (node: number) => place.ports.portOf('kafkaController', node - 1);
  const voters = ids.map(node => `${node}@127.0.0.1:${controllerPort(node)}`).join(',');
  const zookeeper = `127.0.0.1:${place.ports.portOf('zookeeper')}/kafka`;
  const name = `kafka-${id}`;
  const port = place.ports.portOf('kafka', id - 1);
  const data = join(folder, `data-${id}`);
  const ownLogFile = join(folder, `${name}.log`);
  const generation = isKraft ? { kraft: { voters, controllerPort: controllerPort(id) } } : { zookeeper };
  const keys = { id, nodeCount: ids.length, port, data, ...generation };
  const settings: ManagedFile = {
    step: `config-${id}`,
    what: `write the configuration of ${name}`,
    path: join(folder, `${name}.properties`),
    rights: { mode: 0o600 },
    content: async () => brokerText(keys),
  };
  const controllerSettings: ManagedFile = {
    ...settings,
    path: join(folder, `${name}-controller.properties`),
    content: async () => controllerText(keys),
  };
  const specOf = (read: ManagedFile): ServerProcess['spec'] => ({
    name,
    argv: brokerArgv(common, read, ownLogFile),
    cwd: folder,
    logFile: join(folder, `${name}.out`),
    ownLogFile,
    stopSignal: 'SIGTERM',
    stopMsMax: STOP_MS_MAX,
  });
  const controllerPorts = isKraft ? [controllerPort(id)] : [];
  const process: ServerProcess = {
    spec: specOf(settings),
    files: [settings, users, logging],
    ports: [port, ...controllerPorts],
  };
  const controller: ServerProcess = {
    spec: specOf(controllerSettings),
    files: [controllerSettings],
    ports: controllerPorts,
  };
  return { id, name, port, data, settings, process, controller };
}

function brokerArgv(
  { jars, logging, users }: Omit<Cluster, 'brokers'>,
  settings: ManagedFile,
  ownLogFile: string,
): readonly string[] {
  return [
    'java',
    `-Xms${HEAP}`,
    `-Xmx${HEAP}`,
    '-XX:+UseSerialGC',
    // The optimising compiler took more of two cores than the broker's own work, and made that no cheaper within
    // 200,000 events: docs/internals/performance.md.
    '-XX:TieredStopAtLevel=1',
    '-XX:-UsePerfData',
    '-XX:+ExitOnOutOfMemoryError',
    ...loggingFlags(logging, ownLogFile),
    `-Djava.security.auth.login.config=${users.path}`,
    '-cp',
    join(jars, '*'),
    'kafka.Kafka',
    settings.path,
  ];
}

/** Each of the two log libraries reads its own one. */
function loggingFlags({ path }: ManagedFile, logFile: string): readonly string[] {
  return [
    `-Dlog4j2.configurationFile=${path}`,
    `-Dlog4j.configuration=file:${path}`,
    `-D${LOG_FILE_PROPERTY}=${logFile}`,
  ];
}

/**
 * Gives each node its storage through Kafka's own tool: what it writes besides the ids switches on the features of
 * this version (groups of the new protocol, transactions of the second version), which stay off otherwise.
 */
function formatPart(cluster: Cluster): Part {
  const isFormatted = async (host: Host, { data }: Broker) =>
    (await host.stat(join(data, 'meta.properties'))) !== undefined;
  return {
    step: 'format',
    what: 'format the storage of Kafka',
    async observe(host) {
      const due: string[] = [];
      for (const broker of cluster.brokers) if (!(await isFormatted(host, broker))) due.push(broker.name);
      return due.length === 0 ? undefined : { before: null, after: `${due.join(', ')} formatted` };
    },
    async apply(context) {
      const clusterId = (await clusterIdOf(context.host, cluster)) ?? drawClusterId();
      for (const broker of cluster.brokers) {
        if (!(await isFormatted(context.host, broker))) await format(context, cluster, { broker, clusterId });
      }
    },
  };
}

async function format(
  { host, progress, signal }: StepContext,
  { jars, logging }: Cluster,
  { broker, clusterId }: { readonly broker: Broker; readonly clusterId: string },
): Promise<void> {
  progress(`formatting the storage of ${broker.name}`);
  // What a run that was cut off left is in the tool's way.
  await host.remove(broker.data);
  const argv = [
    'java',
    '-Xmx128m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-XX:-UsePerfData',
    ...loggingFlags(logging, broker.process.spec.ownLogFile ?? broker.process.spec.logFile),
    '-cp',
    join(jars, '*'),
    'kafka.tools.StorageTool',
    'format',
    '--cluster-id',
    clusterId,
    '--config',
    broker.settings.path,
  ];
  const { exitCode, stdout, stderr } = await host.exec(argv, { timeoutMs: FORMAT_MS_MAX, signal });
  if (exitCode === 0) return;
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-5).join('\n    ');
  throw new MillraceError('ERR_HOST_COMMAND', `formatting ${broker.data} ended with ${exitCode}: ${said}`);
}

/** The cluster that formatted nodes belong to; undefined for a new one. */
async function clusterIdOf(host: Host, { brokers }: Cluster): Promise<string | undefined> {
  for (const { data } of brokers) {
    const text = await readText(host, join(data, 'meta.properties'));
    const id = /^cluster\.id=(.+)$/m.exec(text ?? '')?.[1];
    if (id !== undefined) return id.trim();
  }
  return undefined;
}

/** A random UUID as Kafka writes it: base64url, and not with a dash in front, which tools take for a flag. */
function drawClusterId(): string {
  return randomBytes(16).toString('base64url').replace(/^-/, 'A');
}

/** Every broker knows every other one, and all are of one cluster. */
async function verify(host: Host, { brokers, isKraft, login }: Cluster, msMax: number): Promise<string> {
  const all = brokers.map(({ id }) => id);
  const processes = brokers.map(({ name }) => name);
  for (const broker of brokers) {
    await untilAnswered(host, { processes, deadlineMs: msMax }, () =>
      checkBroker(host, { broker, login }, all),
    );
  }
  const places = brokers.map(({ port }) => `127.0.0.1:${port}`).join(', ');
  return `Kafka ${isKraft ? '4.3.1' : '3.9.2'} on ${places}`;
}

async function checkBroker(
  host: Host,
  { broker, login }: { readonly broker: Broker; readonly login: KafkaLogin },
  ids: readonly number[],
): Promise<void> {
  const { name, port } = broker;
  const { brokers } = await askBroker(host, { port, login });
  const missing = ids.filter(id => !brokers.includes(id));
  if (missing.length === 0) return;
  throw new MillraceError('ERR_NOT_READY', `${name} does not see broker ${missing.join(', ')} yet`);
}
