import { MillraceError } from '../../../core/errors.ts';
import type { Append } from '../../../core/ports.ts';
import type { NewRecord } from '../../../core/record.ts';
import type { Logger } from '../../../observability/logger.ts';
import { errorFromNative, NATIVE } from './kafka-errors.ts';
import { bytesOf, produceRecord } from './kafka-record.ts';
import { type KafkaConnection, producerSettings } from './kafka-settings.ts';
import {
  called,
  type DeliveryReport,
  type NativeClient,
  type NativeError,
  type NativeProducer,
} from './native-client.ts';
import { connectHandle, disconnectHandle } from './native-handles.ts';

/** What the producer is made with. */
export interface PlainProducerOptions {
  readonly client: NativeClient;
  readonly connection: KafkaConnection;
  readonly requestMsMax: number;
  /** Bytes that may wait for the brokers; more is refused. */
  readonly queueBytesMax: number;
  readonly logger: Logger;
  /** Told when a write was not answered. */
  onUnanswered(error: MillraceError): void;
  /** Told where a partition has grown to. */
  onEnd(topic: string, partition: number, endOffset: number): void;
}

/** Records that may wait for the brokers; half of what the client holds. */
const QUEUE_RECORDS_MAX = 100_000;

/** A commit on its way. One object for all its records: what they carry to the report of their delivery. */
interface Pending {
  readonly appends: readonly PendingAppend[];
  readonly timer: NodeJS.Timeout;
  recordsLeft: number;
  resolve(baseOffsets: readonly number[]): void;
  reject(error: MillraceError): void;
}

interface PendingAppend {
  readonly pending: Pending;
  readonly recordBytes: readonly number[];
  reported: number;
  baseOffset: number;
}

/**
 * Writes records outside transactions: idempotent, acknowledged by all copies in sync, in the order of calls.
 * A commit that is refused because its time ran out may still come to be written: who sends it again relies on
 * deduplication by message id.
 */
export class PlainProducer {
  readonly #options: PlainProducerOptions;
  #native: NativeProducer | null = null;
  #connecting: Promise<NativeProducer> | null = null;
  #queuedBytes = 0;
  #queuedRecords = 0;

  constructor(options: PlainProducerOptions) {
    this.#options = options;
  }

  /** Why nothing more is taken, or null. */
  overload(): MillraceError | null {
    const { queueBytesMax } = this.#options;
    if (this.#queuedBytes < queueBytesMax && this.#queuedRecords < QUEUE_RECORDS_MAX) return null;
    const why = `${this.#queuedRecords} records of ${this.#queuedBytes} bytes wait for the brokers`;
    return new MillraceError('ERR_OVERLOADED', `${why}; log.queueBytesMax is ${queueBytesMax}`);
  }

  /** Resolves with the offset of each append's first record; 0 for an append without records. */
  async commit(appends: readonly Append[]): Promise<readonly number[]> {
    const overload = this.overload();
    if (overload !== null) throw overload;
    const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>();
    if (this.#native !== null) {
      this.#send(this.#native, appends, { resolve, reject });
      return promise;
    }
    // The caller's bytes are the caller's again once this call returns.
    const copies = appends.map(append => ({ ...append, records: append.records.map(copyOf) }));
    this.#connecting ??= this.#connect();
    try {
      this.#send(await this.#connecting, copies, { resolve, reject });
    } finally {
      this.#connecting = null;
    }
    return promise;
  }

  /** Writes what waits, for a while, and disconnects. */
  async close(): Promise<void> {
    const native = this.#native ?? (await this.#connecting?.catch(() => null));
    this.#native = null;
    if (native === null || native === undefined) return;
    await called(callback => native.flush(this.#options.requestMsMax, callback)).catch(() => {});
    await disconnectHandle(native);
  }

  #send(
    native: NativeProducer,
    appends: readonly Append[],
    { resolve, reject }: Pick<Pending, 'resolve' | 'reject'>,
  ): void {
    const { requestMsMax } = this.#options;
    const timer = setTimeout(() => this.#giveUp(pending), requestMsMax);
    const list: PendingAppend[] = [];
    const pending: Pending = { appends: list, timer, recordsLeft: 0, resolve, reject };
    const nowMs = Date.now();
    try {
      for (const append of appends) {
        const recordBytes: number[] = [];
        const opaque: PendingAppend = { pending, recordBytes, reported: 0, baseOffset: -1 };
        list.push(opaque);
        for (const record of append.records) {
          produceRecord(native, append, record, { nowMs, opaque });
          recordBytes.push(bytesOf(record));
          pending.recordsLeft += 1;
          this.#queuedRecords += 1;
          this.#queuedBytes += bytesOf(record);
        }
      }
    } catch (error) {
      this.#fail(pending, error as NativeError, appends[list.length - 1]!.topic);
    }
    if (pending.recordsLeft === 0) this.#settle(pending);
  }

  #delivered(error: NativeError | null, report: DeliveryReport): void {
    const { topic, partition, offset } = report;
    const append = report.opaque as PendingAppend;
    const { pending } = append;
    this.#queuedRecords -= 1;
    // Reports of a partition come in the order of its records.
    this.#queuedBytes -= append.recordBytes[append.reported++] ?? 0;
    pending.recordsLeft -= 1;
    if (error !== null && error !== undefined) {
      this.#fail(pending, error, topic);
      return;
    }
    if (append.baseOffset === -1 || offset < append.baseOffset) append.baseOffset = offset;
    this.#options.onEnd(topic, partition, offset + 1);
    if (pending.recordsLeft === 0) this.#settle(pending);
  }

  #settle(pending: Pending): void {
    clearTimeout(pending.timer);
    pending.resolve(pending.appends.map(({ baseOffset }) => Math.max(baseOffset, 0)));
  }

  #fail(pending: Pending, error: NativeError, topic: string): void {
    clearTimeout(pending.timer);
    const named =
      error.code === NATIVE.queueFull
        ? new MillraceError('ERR_OVERLOADED', 'the queue to the brokers is full', { cause: error })
        : errorFromNative(error, { brokers: this.#options.connection.brokers, doing: `write to ${topic}` });
    if (named.code === 'ERR_STORE_UNAVAILABLE') this.#options.onUnanswered(named);
    if (error.code === NATIVE.fatal) this.#replace();
    pending.reject(named);
  }

  #giveUp(pending: Pending): void {
    const { connection, requestMsMax } = this.#options;
    const why = `${connection.brokers.join(', ')}: no answer to a write within ${requestMsMax} ms (kafka.requestMsMax)`;
    const error = new MillraceError('ERR_STORE_UNAVAILABLE', why);
    this.#options.onUnanswered(error);
    pending.reject(error);
  }

  /** A producer that lost count of its sequence refuses everything from then on: the next commit gets a new one. */
  #replace(): void {
    const old = this.#native;
    this.#native = null;
    if (old !== null) void disconnectHandle(old);
  }

  async #connect(): Promise<NativeProducer> {
    const { client, connection, requestMsMax } = this.#options;
    const native = new client.Producer(
      { ...producerSettings(connection), dr_cb: true, 'message.timeout.ms': requestMsMax },
      {},
    );
    native.on('delivery-report', (error: NativeError | null, report: DeliveryReport) =>
      this.#delivered(error, report),
    );
    await connectHandle(native, this.#options);
    native.setPollInBackground(true);
    this.#native = native;
    return native;
  }
}

function copyOf(record: NewRecord): NewRecord {
  return { ...record, value: Buffer.from(record.value) };
}
