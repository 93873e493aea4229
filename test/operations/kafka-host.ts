import assert from 'node:assert/strict';
import { basename, join } from 'node:path';
import type { Config } from '../../src/config/options.ts';
import kafka39 from '../../src/operations/provision/kafka-3.9.2.lock.json' with { type: 'json' };
import kafka43 from '../../src/operations/provision/kafka-4.3.1.lock.json' with { type: 'json' };
import { wanting } from '../servers/servers.ts';
import { DONE, memoryServers } from './memory-servers.ts';

/** Where its files lie, and the first of its ports. */
export const FOLDER = '/srv/data/test/servers/kafka';
export const BASE = 21_000;
export const ZOOKEEPER_PORT = BASE + 6;

/** File name → what the lock says of it. */
const DIGESTS = new Map(
  [...kafka43.jars, ...kafka39.jars].map(({ artifact, sha256 }) => {
    const [, name, version, classifier] = artifact.split(':');
    return [`${[name, version, classifier].filter(Boolean).join('-')}.jar`, sha256];
  }),
);

/** What a broker says of its cluster: length, correlation, throttle time, brokers, cluster. */
function metadata(ids: readonly number[]): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)]);
  const int = (value: number) => Buffer.from([0, 0, value >> 8, value & 255]);
  const brokers = ids.map(id =>
    Buffer.concat([int(id), text('127.0.0.1'), int(BASE), Buffer.from([255, 255])]),
  );
  const body = Buffer.concat([
    int(1),
    int(0),
    int(ids.length),
    ...brokers,
    text('cluster'),
    int(ids[0] ?? 0),
  ]);
  return Buffer.concat([int(body.length), body]);
}

/** The requests that came at once, each with its length first. */
export function requestsIn(all: Buffer): readonly Buffer[] {
  const requests: Buffer[] = [];
  for (let at = 0; at < all.length; at += 4 + all.readInt32BE(at)) {
    requests.push(all.subarray(at, at + 4 + all.readInt32BE(at)));
  }
  return requests;
}

/** The codes that a handshake and a login are answered with, until one is not 0. */
export function admission(handshake: number, login: number): Buffer {
  const taken = Buffer.from([0, 0, 0, 10, 0, 0, 0, 1, 0, handshake, 0, 0, 0, 0]);
  const admitted = Buffer.from([0, 0, 0, 12, 0, 0, 0, 1, 0, login, 255, 255, 0, 0, 0, 0]);
  return handshake === 0 ? Buffer.concat([taken, admitted]) : taken;
}

/** Answers as a broker does that lets everybody in who says who it is, and as PLAIN has it. */
export function admit(all: Buffer, answer: Buffer): Buffer {
  const [handshake, login] = requestsIn(all);
  assert.deepEqual(
    [handshake!.readInt16BE(4), handshake!.readInt16BE(6)],
    [17, 1],
    'SaslHandshake, version 1',
  );
  assert.deepEqual([login!.readInt16BE(4), login!.readInt16BE(6)], [36, 0], 'SaslAuthenticate, version 0');
  assert.match(login!.toString('latin1'), /\0millrace\0[\w-]{32}$/);
  return Buffer.concat([admission(0, 0), answer]);
}

/** Java and Maven are there; Maven brings what the lock names; brokers and ZooKeeper answer once started. */
export function kafkaHost(overrides: Partial<Config> = {}) {
  const setting = memoryServers({ ...wanting('kafka'), 'kafka.clientFolder': '/client', ...overrides });
  const { host } = setting;
  const formats: string[] = [];
  // Before anything is recorded as a change: a client that the operator has built.
  void host.makeFolder('/client', { mode: 0o755 });
  void host.put('/client/package.json', '{}', { mode: 0o644 });
  host.changes.length = 0;
  host.digest = async path => DIGESTS.get(basename(path)) ?? 'another';
  host.commands.set('mvn', (_argv, { cwd = '' }) => {
    const jars = cwd.includes('kafka-3.9.2') ? kafka39.jars : kafka43.jars;
    for (const { artifact } of jars) {
      const [, name, version, classifier] = artifact.split(':');
      const file = `${[name, version, classifier].filter(Boolean).join('-')}.jar`;
      void host.put(join(cwd, 'jars', file), 'jar', { mode: 0o644 });
    }
    return DONE;
  });
  host.commands.set('java', argv => {
    if (argv[1] === '-version') return { ...DONE, stderr: 'openjdk version "17.0.15"' };
    const data = argv.at(-1)!.replace(/kafka-(\d)\.properties$/, 'data-$1');
    const id = argv[argv.indexOf('--cluster-id') + 1]!;
    formats.push(id);
    void host.makeFolder(data, { mode: 0o700 });
    void host.put(join(data, 'meta.properties'), `cluster.id=${id}\n`, { mode: 0o600 });
    return DONE;
  });
  const [start, stop] = [host.start.bind(host), host.stop.bind(host)];
  const portOf = (name: string) => (name === 'zookeeper' ? ZOOKEEPER_PORT : BASE + Number(name.at(-1)) - 1);
  host.start = async spec => {
    const answer =
      spec.name === 'zookeeper' ? Buffer.from('Zookeeper version: 3.8.4-x\n') : metadata([1, 2, 3]);
    host.answers.set(portOf(spec.name), request =>
      spec.name === 'zookeeper' ? answer : admit(request, answer),
    );
    return await start(spec);
  };
  host.stop = async name => {
    host.answers.delete(portOf(name));
    await stop(name);
  };
  return { ...setting, formats };
}
