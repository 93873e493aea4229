import { readFileSync } from 'node:fs';
import type { AdminOptions } from '@platformatic/kafka';
import { MillraceError } from '../../../core/errors.ts';
import type { NativeSettings } from './native-client.ts';

/** How a user proves who it is; `plain` gives the brokers the password itself. */
export type KafkaMechanism = 'plain' | 'scram-sha-256' | 'scram-sha-512';

/** How the brokers are reached. */
export interface KafkaConnection {
  /** Addresses, `host:port`. */
  readonly brokers: readonly string[];
  readonly tls: boolean;
  /** PEM file of the authority that signed the brokers; empty: those the system trusts. */
  readonly caFile: string;
  readonly mechanism: KafkaMechanism;
  /** Empty: no login. */
  readonly username: string;
  /** The secret itself; never logged, never part of an error. */
  readonly password: string;
}

/**
 * Largest record, bytes with key and headers: the largest batch of ingest (64 MiB) and half as much again. Brokers
 * take no request of more than 100 MiB by default.
 */
export const RECORD_BYTES_MAX = 96 * 1024 * 1024;
/** After this the group takes a member for dead; brokers allow no less than 6 s by default. */
export const SESSION_MS = 6_000;
/** After this the broker aborts what a dead process left open; until then its readers wait. */
export const TRANSACTION_MS_MAX = 8_000;

/** Kafka's own names, which both clients take. */
const MECHANISMS = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
} as const satisfies Record<KafkaMechanism, string>;

/** Settings that every native handle has. */
function nativeConnection(connection: KafkaConnection): NativeSettings {
  const { brokers, tls, caFile, username, password, mechanism } = connection;
  const login = username !== '';
  const protocol = `${login ? 'sasl_' : ''}${tls ? 'ssl' : 'plaintext'}`;
  return {
    'bootstrap.servers': brokers.join(','),
    'client.id': 'millrace',
    'security.protocol': protocol,
    ...(tls && caFile !== '' ? { 'ssl.ca.location': caFile } : {}),
    ...(login
      ? {
          'sasl.mechanisms': MECHANISMS[mechanism],
          'sasl.username': username,
          'sasl.password': password,
        }
      : {}),
    'reconnect.backoff.ms': 50,
    'reconnect.backoff.max.ms': 1_000,
  };
}

/**
 * Settings of both producers, measured: 5 ms of linger and large batches give 169–195 K records/s of 1 KB on two
 * cores beside the broker; the short retry pauses keep transactions at 4 ms. Each batch is a request, so it is as large
 * as brokers take by default (1 MiB), with what it grows by where it cannot be packed.
 */
export function producerSettings(connection: KafkaConnection): NativeSettings {
  return {
    ...nativeConnection(connection),
    'enable.idempotence': true,
    acks: -1,
    'linger.ms': 5,
    'batch.size': 1_000_000,
    'compression.codec': 'lz4',
    'queue.buffering.max.messages': 200_000,
    'queue.buffering.max.kbytes': 512 * 1024,
    'message.max.bytes': RECORD_BYTES_MAX,
    'retry.backoff.ms': 10,
    'retry.backoff.max.ms': 100,
  };
}

/**
 * Settings of the producer of transactions, beside {@link producerSettings}. A commit sends what waits, however long
 * it might: with 5 ms of linger a transaction to 16 partitions took 21 requests, and a request costs the brokers
 * more than the records in it.
 */
export const TRANSACTION_SETTINGS: NativeSettings = {
  'linger.ms': 1_000,
  'transaction.timeout.ms': TRANSACTION_MS_MAX,
};

/** Settings of every native consumer: it keeps a place in a group, or names one, and fetches nothing. */
export function consumerSettings(connection: KafkaConnection, group: string): NativeSettings {
  return {
    ...nativeConnection(connection),
    'group.id': group,
    'isolation.level': 'read_committed',
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
  };
}

/** Settings of a member of a group, beside {@link consumerSettings}. */
export const MEMBER_SETTINGS: NativeSettings = {
  'partition.assignment.strategy': 'cooperative-sticky',
  'session.timeout.ms': SESSION_MS,
  'heartbeat.interval.ms': 500,
};

/** Options of the admin client. Throws ERR_FILE_UNREADABLE for `caFile`. */
export function adminSettings(connection: KafkaConnection, requestMsMax: number): AdminOptions {
  const { brokers, tls, caFile, username, password, mechanism } = connection;
  return {
    clientId: 'millrace-admin',
    bootstrapBrokers: [...brokers],
    // One retry at once: a leader that moved is found again. More of them would hide an outage for seconds.
    retries: 1,
    retryDelay: 100,
    timeout: requestMsMax,
    connectTimeout: requestMsMax,
    autocreateTopics: false,
    ...(tls ? { tls: caFile === '' ? {} : { ca: readAuthority(caFile) } } : {}),
    ...(username === ''
      ? {}
      : {
          sasl: {
            mechanism: MECHANISMS[mechanism],
            username,
            password,
          },
        }),
  };
}

function readAuthority(caFile: string): string {
  try {
    return readFileSync(caFile, 'utf8');
  } catch (cause) {
    throw new MillraceError('ERR_FILE_UNREADABLE', `kafka.caFile ${caFile}`, { cause });
  }
}
