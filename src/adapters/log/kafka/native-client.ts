import { createRequire } from 'node:module';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { assert, MillraceError } from '../../../core/errors.ts';

/** A setting of the native client, by its own names. */
export type NativeSettings = Readonly<
  Record<string, string | number | boolean | ((...values: never[]) => void)>
>;

/** An error of the native client: a negative code is its own, a positive one the broker's. */
export interface NativeError extends Error {
  readonly code: number;
  /** True where a transaction has failed in the client, before it asked the brokers to commit it. */
  readonly isTxnRequiresAbort?: boolean;
}

/** A partition, with the offset where there is one to name. */
export interface NativePosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset?: number;
}

/** A header as the native client takes and gives it: one name with its value. */
export type NativeHeader = Readonly<Record<string, string | Uint8Array>>;

/** A record as it was fetched; its memory is the receiver's. */
export interface NativeMessage extends Required<NativePosition> {
  readonly key: Buffer | null;
  /** Null in a tombstone. */
  readonly value: Buffer | null;
}

/** What was heard of a produced record. */
export interface DeliveryReport extends Required<NativePosition> {
  readonly opaque?: unknown;
}

type Callback = (error: NativeError | null | undefined) => void;

/** What producers and consumers of the native client share. */
export interface NativeHandle {
  on(event: string, listener: (...values: never[]) => void): unknown;
  connect(options: { readonly timeout: number }, callback: Callback): unknown;
  disconnect(callback: () => void): unknown;
  queryWatermarkOffsets(
    topic: string,
    partition: number,
    timeoutMs: number,
    callback: (
      error: NativeError | null,
      offsets: { readonly lowOffset: number; readonly highOffset: number },
    ) => void,
  ): unknown;
}

/** The native producer. */
export interface NativeProducer extends NativeHandle {
  produce(
    topic: string,
    partition: number,
    value: Uint8Array,
    key: string | Uint8Array | null,
    timestamp: number,
    opaque: unknown,
    headers: readonly NativeHeader[] | undefined,
  ): boolean;
  setPollInBackground(isOn: boolean): unknown;
  flush(timeoutMs: number, callback: Callback): unknown;
  initTransactions(timeoutMs: number, callback: Callback): void;
  beginTransaction(callback: Callback): void;
  sendOffsetsToTransaction(
    offsets: readonly NativePosition[],
    consumer: NativeConsumer,
    timeoutMs: number,
    callback: Callback,
  ): void;
  commitTransaction(timeoutMs: number, callback: Callback): void;
  abortTransaction(timeoutMs: number, callback: Callback): void;
}

/** The native consumer. */
export interface NativeConsumer extends NativeHandle {
  subscribe(topics: readonly string[]): unknown;
  assign(partitions: readonly NativePosition[]): unknown;
  incrementalAssign(partitions: readonly NativePosition[]): unknown;
  incrementalUnassign(partitions: readonly NativePosition[]): unknown;
  /** Has nothing fetched of partitions that are assigned. */
  pause(partitions: readonly NativePosition[]): unknown;
  /** Without an offset where none was committed. */
  committed(
    partitions: readonly NativePosition[],
    timeoutMs: number,
    callback: (error: NativeError | null, answers: readonly (NativePosition | Error)[]) => void,
  ): unknown;
  /** True from the moment the group has given this member's partitions to others. */
  assignmentLost(): boolean;
  setDefaultConsumeTimeout(timeoutMs: number): void;
  consume(
    recordsMax: number,
    callback: (error: NativeError | null, messages: readonly NativeMessage[]) => void,
  ): void;
}

/** The module itself. */
export interface NativeClient {
  readonly Producer: new (settings: NativeSettings, topicSettings: NativeSettings) => NativeProducer;
  readonly KafkaConsumer: new (settings: NativeSettings, topicSettings: NativeSettings) => NativeConsumer;
}

/** Package of the client; a plain install does not have it. */
const NATIVE_CLIENT = '@confluentinc/kafka-javascript';

/**
 * Loads the native client from its package folder. Throws ERR_CLIENT_MISSING where it is not there or was built
 * for another Node. Its callbacks come to the main thread only.
 */
export function loadNativeClient(folder: string): NativeClient {
  assert(isMainThread, 'the native Kafka client runs on the main thread of a process');
  try {
    return createRequire(join(folder, 'package.json'))(folder) as NativeClient;
  } catch (cause) {
    const why = `${NATIVE_CLIENT} cannot be loaded from ${folder}: ${firstLineOf(cause)}`;
    throw new MillraceError('ERR_CLIENT_MISSING', why, { cause });
  }
}

/** A call that ends in a callback, as a promise. */
export async function called(call: (callback: Callback) => unknown): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    call(error => (error === null || error === undefined ? resolve() : reject(error)));
  });
}

/** Resolves with the records that lie ready, and whatever rebalance or end of partition came with them. */
export function consumeReady(
  consumer: NativeConsumer,
  recordsMax: number,
): Promise<readonly NativeMessage[] | NativeError> {
  return new Promise(resolve => {
    consumer.consume(recordsMax, (error, messages) => resolve(error ?? messages));
  });
}

/**
 * Where the consumer's group has committed to in partitions, in their order; 0 where it has not. Rejects where it is
 * not known of one of them, as while a transaction holds an offset of it.
 */
export async function committedOffsets(
  consumer: NativeConsumer,
  partitions: readonly NativePosition[],
  timeoutMs: number,
): Promise<readonly number[]> {
  const asked = partitions.map(({ topic, partition }) => ({ topic, partition }));
  const answers = await new Promise<readonly (NativePosition | Error)[]>((resolve, reject) => {
    consumer.committed(asked, timeoutMs, (error, found) => (error ? reject(error) : resolve(found)));
  });
  const found = new Map<string, number>();
  for (const answer of answers) {
    // For a partition of which it is not known there is an error in its place.
    if (answer instanceof Error) throw answer;
    found.set(`${answer.topic}:${answer.partition}`, Math.max(0, answer.offset ?? 0));
  }
  return partitions.map(({ topic, partition }) => {
    const offset = found.get(`${topic}:${partition}`);
    if (offset === undefined) throw new Error(`${topic}:${partition}: no answer to where its group stands`);
    return offset;
  });
}

function firstLineOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
}
