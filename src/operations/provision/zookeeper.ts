import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { StepContext } from '../../core/operation.ts';
import { javaPart } from './java.ts';
import kafka39 from './kafka-3.9.2.lock.json' with { type: 'json' };
import { LOG_FILE_PROPERTY, LOG4J_TEXT } from './kafka-config.ts';
import { filePart, folderPart, type ManagedFile } from './managed-file.ts';
import { jarFolder, jarsPart } from './maven-jars.ts';
import { pause } from './pause.ts';
import { untilAnswered } from './ready.ts';
import { READY_MS_MAX, type Server, type ServerContext } from './server.ts';
import { processPart, type ServerProcess } from './server-process.ts';

/** Comes with the jars of Kafka 3.9. */
const VERSION = '3.8.4';
const NAME = 'zookeeper';
const ANSWER_MS_MAX = 5_000;

/**
 * One ZooKeeper on a host, loopback: it asks nobody for a password, so it listens nowhere else. What may ask it
 * for its state without a session is listed in its configuration.
 */
export async function zookeeperServer({ place }: ServerContext): Promise<Server> {
  const folder = join(place.root, 'servers', NAME);
  const port = place.ports.portOf('zookeeper');
  const { settings, logging } = filesOf(folder, port);
  const ownLogFile = join(folder, 'zookeeper.log');
  const process: ServerProcess = {
    spec: {
      name: NAME,
      argv: [
        'java',
        '-Xmx128m',
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        '-XX:-UsePerfData',
        '-XX:+ExitOnOutOfMemoryError',
        `-Dlog4j.configuration=file:${logging.path}`,
        `-D${LOG_FILE_PROPERTY}=${ownLogFile}`,
        '-cp',
        join(jarFolder(place.cache, kafka39), '*'),
        'org.apache.zookeeper.server.quorum.QuorumPeerMain',
        settings.path,
      ],
      cwd: folder,
      logFile: join(folder, 'zookeeper.out'),
      ownLogFile,
      stopSignal: 'SIGTERM',
      stopMsMax: 10_000,
    },
    files: [settings, logging],
    ports: [port],
  };
  const verify = (host: Host, msMax = READY_MS_MAX, signal?: AbortSignal) =>
    untilAnswered(host, { processes: [NAME], deadlineMs: msMax, ...(signal && { signal }) }, async () => {
      const found = await serverVersion(host, port);
      if (found !== VERSION)
        throw new MillraceError('ERR_NOT_READY', `ZooKeeper ${found} answers, not ${VERSION}`);
      return `ZooKeeper ${VERSION} on 127.0.0.1:${port}`;
    });
  return {
    name: NAME,
    parts: [
      javaPart([NAME]),
      jarsPart(place.cache, kafka39),
      folderPart('folder', join(folder, 'data'), { mode: 0o700 }),
      filePart(settings),
      filePart(logging),
      processPart(
        'ZooKeeper',
        [process],
        async (host, _started, signal) => void (await verify(host, undefined, signal)),
      ),
    ],
    processes: [NAME],
    folder,
    data: [join(folder, 'data')],
    secrets: [],
    verify,
    bindings: {},
  };
}

function filesOf(folder: string, port: number) {
  const settings: ManagedFile = {
    step: 'config',
    what: 'write the configuration of ZooKeeper',
    path: join(folder, 'zoo.cfg'),
    rights: { mode: 0o600 },
    content: async () => configText(port, join(folder, 'data')),
  };
  const logging: ManagedFile = {
    step: 'logging',
    what: 'write what ZooKeeper logs',
    path: join(folder, 'log4j.properties'),
    rights: { mode: 0o600 },
    content: async () => LOG4J_TEXT,
  };
  return { settings, logging };
}

function configText(port: number, data: string): string {
  return [
    '# Written by millrace: edits are undone by the next run.',
    'tickTime=2000',
    `dataDir=${data}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
    'admin.enableServer=false',
    '4lw.commands.whitelist=ruok,srvr,mntr,dump',
    // Snapshots and logs would pile up for ever otherwise.
    'autopurge.snapRetainCount=3',
    'autopurge.purgeInterval=24',
    '',
  ].join('\n');
}

const REGISTRY_LOOK_MS = 200;

/**
 * Resolves when ZooKeeper holds no session of a broker that died: a node of its name lives until its session ends, and
 * a broker that meets it gives up. `dump` lists sessions with what they hold. Throws ERR_NOT_READY at the deadline.
 */
export async function untilUnregistered(
  { host, progress, signal }: StepContext,
  port: number,
  { ids, msMax }: { readonly ids: readonly number[]; readonly msMax: number },
): Promise<void> {
  const endMs = performance.now() + msMax;
  let told = false;
  // Ends with the sessions, or at the deadline.
  while (true) {
    const dump = await ask(host, port, 'dump');
    const held = ids.filter(id => new RegExp(`^\\s*/kafka/brokers/ids/${id}\\s*$`, 'm').test(dump));
    if (held.length === 0) return;
    if (performance.now() > endMs) {
      const why = `ZooKeeper still holds the session of broker ${held.join(', ')} after ${msMax / 1000} s`;
      throw new MillraceError('ERR_NOT_READY', why, {
        remedy: 'Another process may be that broker: stop it, and run the operation again.',
      });
    }
    if (!told) progress(`waiting for ZooKeeper to end the session of broker ${held.join(', ')}`);
    told = true;
    await pause(REGISTRY_LOOK_MS, signal);
  }
}

/** Asks `srvr`, which a server answers with its version only once it serves. */
async function serverVersion(host: Host, port: number): Promise<string> {
  const text = await ask(host, port, 'srvr');
  const version = /^Zookeeper version: ([\d.]+)/.exec(text)?.[1];
  if (version === undefined)
    throw new MillraceError('ERR_NOT_READY', `ZooKeeper says: ${text.trim() || 'nothing'}`);
  return version;
}

/** Sends one of the words of four letters, which are answered until the connection closes. */
async function ask(host: Host, port: number, word: string): Promise<string> {
  const options = { timeoutMs: ANSWER_MS_MAX, isWhole: () => false };
  return Buffer.from(await host.ask(port, Buffer.from(word), options)).toString('utf8');
}
