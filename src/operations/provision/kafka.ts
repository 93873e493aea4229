import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { javaPart } from './java.ts';
import kafka39 from './kafka-3.9.2.lock.json' with { type: 'json' };
import kafka43 from './kafka-4.3.1.lock.json' with { type: 'json' };
import { brokerText, LOG4J_TEXT, LOG4J2_TEXT } from './kafka-config.ts';
import { filePart, folderPart, type ManagedFile, readText } from './managed-file.ts';
import { jarFolder, jarsPart } from './maven-jars.ts';
import type { Part } from './part.ts';
import { untilAnswered } from './ready.ts';
import { READY_MS_MAX, type Server, type ServerContext } from './server.ts';
import { processPart, type ServerProcess } from './server-process.ts';

const FORMAT_MS_MAX = 120_000;
const ANSWER_MS_MAX = 5_000;
const HEAP = '256m';
const TOOL_HEAP = '128m';
/** The root that Kafka 3.9 uses in its ZooKeeper. */
const ZOOKEEPER_ROOT = '/kafka';

/** One broker with its files. */
interface Node {
  readonly id: number;
  readonly name: string;
  readonly port: number;
  readonly data: string;
  readonly settings: ManagedFile;
}

/**
 * Kafka on a host, loopback: brokers that are their own controllers, or, for `kafka.generation` zookeeper, brokers
 * of 3.9 on the ZooKeeper of the same environment. Nobody is asked for a password, so it listens nowhere else.
 */
export async function kafkaServer(context: ServerContext): Promise<Server> {
  const { place, config } = context;
  const folder = join(place.root, 'servers/kafka');
  const isKraft = config['kafka.generation'] === 'kraft';
  const jars = isKraft ? kafka43 : kafka39;
  const logging = loggingFile(folder, isKraft);
  const java = javaArgv({ jars: jarFolder(place.cache, jars), logging, isKraft });
  const nodes = nodesOf(context, folder);
  const names = nodes.map(({ name }) => name);
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const clusterFile = join(folder, 'cluster.id');
  const format = (node: Node) => formatPart(node, clusterFile, java(TOOL_HEAP));
  const processes = nodes.map(node => brokerOf(node, { folder, logging, java: java(HEAP) }));
  const verify = (host: Host) =>
    untilAnswered(host, { processes: names, deadlineMs: READY_MS_MAX }, async () => {
      for (const { port } of nodes) await checkBrokers(host, port, nodes.length);
      return `Kafka ${jars.name.slice('kafka-'.length)} on ${addresses.join(', ')}`;
    });
  return {
    name: 'kafka',
    parts: [
      javaPart(names),
      jarsPart(place.cache, jars),
      ...nodes.map(({ name, data }) => folderPart(`folder-${name}`, data, { mode: 0o700 })),
      filePart(logging),
      ...nodes.map(({ settings }) => filePart(settings)),
      ...(isKraft ? [clusterPart(clusterFile), ...nodes.map(format)] : []),
      // Brokers vote: none is ready before most have started, so all start before any is waited for.
      processPart(
        'Kafka',
        processes,
        async () => {},
        cpuCount => Math.max(1, cpuCount),
      ),
      readyPart(names, verify),
    ],
    processes: names,
    verify,
    bindings: { 'kafka.brokers': addresses, 'kafka.tls': false, 'kafka.username': '' },
  };
}

function loggingFile(folder: string, isKraft: boolean): ManagedFile {
  return {
    step: 'logging',
    what: 'write what Kafka logs',
    path: join(folder, isKraft ? 'log4j2.properties' : 'log4j.properties'),
    rights: { mode: 0o600 },
    content: async () => (isKraft ? LOG4J2_TEXT : LOG4J_TEXT),
  };
}

/** The command line up to the class that is run, by the size of the heap. */
function javaArgv(run: {
  readonly jars: string;
  readonly logging: ManagedFile;
  readonly isKraft: boolean;
}): (heap: string) => readonly string[] {
  const { path } = run.logging;
  return heap => [
    'java',
    `-Xmx${heap}`,
    '-XX:+UseSerialGC',
    '-XX:-UsePerfData',
    '-XX:+ExitOnOutOfMemoryError',
    run.isKraft ? `-Dlog4j2.configurationFile=${path}` : `-Dlog4j.configuration=file:${path}`,
    '-cp',
    join(run.jars, '*'),
  ];
}

function brokerOf(
  { name, port, settings }: Node,
  run: { readonly folder: string; readonly logging: ManagedFile; readonly java: readonly string[] },
): ServerProcess {
  return {
    spec: {
      name,
      argv: [...run.java, 'kafka.Kafka', settings.path],
      cwd: run.folder,
      logFile: join(run.folder, `${name}.log`),
      stopSignal: 'SIGTERM',
      stopMsMax: 15_000,
    },
    files: [settings, run.logging],
    ports: [port],
  };
}

function nodesOf({ place, config }: ServerContext, folder: string): readonly Node[] {
  const nodeCount = config['kafka.nodes'];
  const isKraft = config['kafka.generation'] === 'kraft';
  const ids = Array.from({ length: nodeCount }, (_, index) => index + 1);
  const controllerOf = (id: number) => place.ports.portOf('kafkaController', id - 1);
  const voters = ids.map(id => `${id}@127.0.0.1:${controllerOf(id)}`).join(',');
  const zookeeper = `127.0.0.1:${place.ports.portOf('zookeeper')}${ZOOKEEPER_ROOT}`;
  return ids.map(id => {
    const name = `kafka-${id}`;
    const port = place.ports.portOf('kafka', id - 1);
    const data = join(folder, `data-${id}`);
    const base = { id, nodeCount, port, data };
    const text = brokerText(
      isKraft ? { ...base, kraft: { voters, controllerPort: controllerOf(id) } } : { ...base, zookeeper },
    );
    const settings: ManagedFile = {
      step: `config-${name}`,
      what: `write the configuration of ${name}`,
      path: join(folder, `${name}.properties`),
      rights: { mode: 0o600 },
      content: async () => text,
    };
    return { id, name, port, data, settings };
  });
}

/** The id that the data of all brokers is marked with; drawn once. */
function clusterPart(file: string): Part {
  return {
    step: 'cluster',
    what: 'draw the id of the cluster',
    observe: async host =>
      (await readText(host, file)) === undefined ? { before: null, after: 'a cluster id' } : undefined,
    apply: ({ host }) => host.put(file, `${drawClusterId()}\n`, { mode: 0o600 }),
  };
}

/** 16 random bytes as Kafka writes them; one that begins with a dash would be taken for a flag. */
function drawClusterId(): string {
  return randomBytes(16).toString('base64url').replace(/^-/, 'A');
}

/** Kafka's own tool marks the data folder: it also sets the levels of features, which a hand-made mark leaves off. */
function formatPart({ name, data, settings }: Node, clusterFile: string, java: readonly string[]): Part {
  return {
    step: `format-${name}`,
    what: `format the data folder of ${name}`,
    observe: async host =>
      (await host.stat(join(data, 'meta.properties'))) === undefined
        ? { before: null, after: 'formatted' }
        : undefined,
    async apply({ host, signal }) {
      const cluster = (await readText(host, clusterFile))?.trim() ?? '';
      const argv = [...java, 'kafka.tools.StorageTool', 'format', '-t', cluster, '-c', settings.path];
      const { exitCode, stdout, stderr } = await host.exec(argv, { timeoutMs: FORMAT_MS_MAX, signal });
      if (exitCode === 0) return;
      const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-5).join('\n    ');
      throw new MillraceError('ERR_HOST_COMMAND', `Kafka's StorageTool ended with ${exitCode}: ${said}`);
    },
  };
}

/** Never due by itself: it waits where processes have been started before it in the same run. */
function readyPart(names: readonly string[], ready: (host: Host) => Promise<unknown>): Part {
  return {
    step: 'ready',
    what: 'wait until every broker answers and knows the others',
    async observe(host) {
      for (const name of names) {
        if ((await host.process(name)).state !== 'running') return { before: null, after: 'answering' };
      }
      return undefined;
    },
    async apply({ host }) {
      await ready(host);
    },
  };
}

/** Asks a broker for the cluster's members: `Metadata` version 8, without topics. */
async function checkBrokers(host: Host, port: number, nodeCount: number): Promise<void> {
  const body = Buffer.alloc(19);
  body.writeInt16BE(3, 0);
  body.writeInt16BE(8, 2);
  body.writeInt32BE(1, 4);
  body.writeInt16BE(-1, 8);
  body.writeInt32BE(0, 10);
  const size = Buffer.alloc(4);
  size.writeInt32BE(17);
  const reply = await host.ask(port, Buffer.concat([size, body.subarray(0, 17)]), {
    timeoutMs: ANSWER_MS_MAX,
    isWhole: bytes => bytes.length >= 4 && bytes.length >= 4 + Buffer.from(bytes).readInt32BE(0),
  });
  // Size, correlation id, throttle time, then the brokers.
  const known = reply.length < 16 ? 0 : Buffer.from(reply).readInt32BE(12);
  if (known !== nodeCount) {
    throw new MillraceError(
      'ERR_NOT_READY',
      `the broker on port ${port} knows ${known} of ${nodeCount} brokers`,
    );
  }
}
