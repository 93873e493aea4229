import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { appendFile, copyFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { alterUserScramCredentialsV0, Connection } from '@platformatic/kafka';
import { adminSettings, type KafkaConnection } from '../../src/adapters/log/kafka/kafka-settings.ts';
import type { Host } from '../../src/core/host.ts';
import { KAFKA_USER } from '../../src/operations/provision/kafka-config.ts';
import { planServers } from '../servers/bring-up.ts';
import { connectionTo } from '../servers/kafka-connection.ts';
import { serversContext, wanting } from '../servers/servers.ts';

/** A broker with a listener for a login over TLS beside its own, whose user may do everything. */
export interface SecureKafka {
  /** The listener that every broker of the product has. */
  readonly root: KafkaConnection;
  /** The secure one, as a user that has no rights yet. */
  readonly app: KafkaConnection;
  /** An authority that signed nothing of the broker's. */
  readonly strangerCaFile: string;
}

const USER = 'app';
const SCRAM_SHA_512 = 2;
const ITERATIONS = 4_096;
const COMMAND_MS_MAX = 60_000;

/** Starts the broker as the product does, with more in its configuration; it is stopped when the test file ends. */
export async function startSecureKafka(): Promise<SecureKafka> {
  const context = await serversContext(wanting('kafka'));
  const { host, root } = context;
  const { server, steps } = (await planServers(context)).find(plan => plan.server.name === 'kafka')!;
  const folder = join(root, 'servers/kafka');
  const port = await freePort();
  const step = { host, progress: () => undefined, signal: new AbortController().signal };
  for (const { step: name, apply } of steps) {
    await apply(step);
    if (name !== 'config-1') continue;
    const file = join(folder, 'kafka-1.properties');
    const text = Buffer.from((await host.read(file))!).toString();
    await appendFile(file, await secureLines(host, { folder, port, text }));
  }
  await server.verify(host);
  const rootConnection = connectionTo(server.bindings);
  const password = randomBytes(12).toString('base64url');
  await setPassword(rootConnection, password);
  return {
    root: rootConnection,
    app: {
      mechanism: 'scram-sha-512',
      brokers: [`127.0.0.1:${port}`],
      tls: true,
      caFile: join(folder, 'ca.pem'),
      username: USER,
      password,
    },
    strangerCaFile: join(folder, 'stranger.pem'),
  };
}

/** What the broker's configuration gets besides; of a key that is there twice, Kafka takes the last. */
async function secureLines(
  host: Host,
  { folder, port, text }: { readonly folder: string; readonly port: number; readonly text: string },
): Promise<string> {
  const password = await makeCertificates(host, folder);
  const present = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)![1]!;
  const secure = `SASL_SSL://127.0.0.1:${port}`;
  const prefix = 'listener.name.sasl_ssl';
  return Object.entries({
    listeners: `${present('listeners')},${secure}`,
    'advertised.listeners': `${present('advertised.listeners')},${secure}`,
    'listener.security.protocol.map': `${present('listener.security.protocol.map')},SASL_SSL:SASL_SSL`,
    [`${prefix}.sasl.enabled.mechanisms`]: 'SCRAM-SHA-512',
    [`${prefix}.scram-sha-512.sasl.jaas.config`]:
      'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.location': join(folder, 'server.p12'),
    'ssl.keystore.password': password,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': `User:${KAFKA_USER}`,
  })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}

/**
 * Makes an authority (`ca.pem`), what it signed for the broker (`server.p12`) and an authority that has nothing to do
 * with either (`stranger.pem`), with the tool that every Java runtime has. Answers the key store's password.
 */
async function makeCertificates(host: Host, folder: string): Promise<string> {
  const password = randomBytes(12).toString('base64url');
  const secret = join(folder, 'password');
  await host.put(secret, password, { mode: 0o600 });
  const keytool = async (command: string, store: string, ...more: readonly string[]) => {
    const argv = ['keytool', command, '-storetype', 'PKCS12', '-storepass:file', secret];
    const all = [...argv, '-keystore', join(folder, store), ...more];
    const { exitCode, stdout, stderr } = await host.exec(all, { timeoutMs: COMMAND_MS_MAX });
    if (exitCode !== 0) throw new Error(`${all.join(' ')} ended with ${exitCode}: ${stdout}${stderr}`);
  };
  const key = ['-keyalg', 'EC', '-groupname', 'secp256r1', '-validity', '2'];
  for (const name of ['ca', 'stranger']) {
    await keytool(
      '-genkeypair',
      `${name}.p12`,
      '-alias',
      name,
      '-dname',
      `CN=${name}`,
      ...key,
      '-ext',
      'bc:c',
    );
    const file = join(folder, `${name}.pem`);
    await keytool('-exportcert', `${name}.p12`, '-alias', name, '-rfc', '-file', file);
  }
  // The key is signed inside the store of the authority, whose own key the broker must not have.
  await copyFile(join(folder, 'ca.p12'), join(folder, 'server.p12'));
  const names = ['-dname', 'CN=localhost', '-ext', 'san=dns:localhost,ip:127.0.0.1'];
  await keytool('-genkeypair', 'server.p12', '-alias', 'kafka', '-signer', 'ca', ...names, ...key);
  await keytool('-delete', 'server.p12', '-alias', 'ca');
  return password;
}

async function setPassword(root: KafkaConnection, password: string): Promise<void> {
  const salt = randomBytes(16);
  const saltedPassword = pbkdf2Sync(password, salt, ITERATIONS, 64, 'sha512');
  const [host, port] = root.brokers[0]!.split(':') as [string, string];
  const connection = new Connection('test', { sasl: adminSettings(root, COMMAND_MS_MAX).sasl! });
  await connection.connect(host, Number(port));
  const user = { name: USER, mechanism: SCRAM_SHA_512, iterations: ITERATIONS, salt, saltedPassword };
  await alterUserScramCredentialsV0.api.async(connection, [], [user]);
  await connection.close();
}

/** A port of the loopback interface that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}
