import { MillraceError } from '../../../core/errors.ts';
import type { LogRecord } from '../../../core/record.ts';
import type { Logger } from '../../../observability/logger.ts';
import { errorFromNative } from './kafka-errors.ts';
import { bytesOf, recordFrom } from './kafka-record.ts';
import { consumerSettings, type KafkaConnection } from './kafka-settings.ts';
import {
  consumeReady,
  type NativeClient,
  type NativeConsumer,
  type NativeError,
  type NativePosition,
} from './native-client.ts';
import { connectHandle, disconnectHandle } from './native-handles.ts';
import { ReadySignal } from './ready-signal.ts';
import type { Place } from './tenures.ts';

/** What the reader is made with. */
export interface PartitionReaderOptions {
  readonly client: NativeClient;
  readonly connection: KafkaConnection;
  readonly groupId: string;
  readonly requestMsMax: number;
  readonly logger: Logger;
}

const READ_BYTES_MAX = 8 * 1024 * 1024;
const FETCH_RECORDS = 100;
const LOOK_MS = 100;

/** Reads records by position, one read at a time, committed ones only. Is no member of any group. */
export class PartitionReader {
  readonly #options: PartitionReaderOptions;
  readonly #ready = new ReadySignal();
  #native: Promise<NativeConsumer> | null = null;
  #endAt = -1;
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(options: PartitionReaderOptions) {
    this.#options = options;
  }

  /** At most `recordsMax` records from an offset on; none only past the end. */
  read(place: Place, fromOffset: number, recordsMax: number): Promise<readonly LogRecord[]> {
    const turn = this.#turn.then(() => this.#read(place, fromOffset, recordsMax));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#ready.set();
    await this.#turn;
    const native = await this.#native?.catch(() => null);
    if (native !== null && native !== undefined) await disconnectHandle(native);
  }

  async #read(place: Place, fromOffset: number, recordsMax: number): Promise<readonly LogRecord[]> {
    if (this.#isClosed) throw new MillraceError('ERR_LOG_CLOSED', 'the log is closed');
    this.#native ??= this.#connect();
    const native = await this.#native.catch(error => {
      this.#native = null;
      throw error;
    });
    const { topic, partition } = place;
    const { lowOffset: low, highOffset: high } = await this.#ends(native, place);
    if (fromOffset >= high) return [];
    const offset = Math.max(fromOffset, low);
    this.#endAt = -1;
    native.assign([{ topic, partition, offset }]);
    try {
      return await this.#collect(native, place, recordsMax);
    } finally {
      native.unassign();
    }
  }

  async #collect(native: NativeConsumer, place: Place, recordsMax: number): Promise<readonly LogRecord[]> {
    const { requestMsMax, connection } = this.#options;
    const deadlineMs = performance.now() + requestMsMax;
    const records: LogRecord[] = [];
    let bytes = 0;
    // Ends at the limits, at the end of the partition or at the deadline.
    while (records.length < recordsMax && bytes < READ_BYTES_MAX) {
      this.#ready.clear();
      const messages = await consumeReady(native, Math.min(recordsMax - records.length, FETCH_RECORDS));
      if (messages instanceof Error) throw this.#named(messages, place);
      for (const message of messages) {
        // What a read before this one left in flight.
        if (message.topic !== place.topic || message.partition !== place.partition) continue;
        records.push(recordFrom(message));
        bytes += bytesOf(message);
      }
      if (messages.length > 0) continue;
      if (this.#endAt >= 0 || this.#isClosed) break;
      if (performance.now() > deadlineMs) {
        if (records.length > 0) break;
        const why = `${connection.brokers.join(', ')}: ${place.topic}:${place.partition} cannot be read`;
        throw new MillraceError('ERR_STORE_UNAVAILABLE', `${why} within ${requestMsMax} ms`);
      }
      await this.#ready.wait(LOOK_MS);
    }
    return records;
  }

  #ends(
    native: NativeConsumer,
    place: Place,
  ): Promise<{ readonly lowOffset: number; readonly highOffset: number }> {
    return new Promise((resolve, reject) => {
      native.queryWatermarkOffsets(
        place.topic,
        place.partition,
        this.#options.requestMsMax,
        (error, offsets) => {
          if (error === null || error === undefined) resolve(offsets);
          else reject(this.#named(error, place));
        },
      );
    });
  }

  #named(error: NativeError, { topic, partition }: Place): MillraceError {
    const { brokers } = this.#options.connection;
    return errorFromNative(error, { brokers, doing: `read ${topic}:${partition}` });
  }

  async #connect(): Promise<NativeConsumer> {
    const { client, connection, groupId } = this.#options;
    const native = new client.KafkaConsumer(
      {
        ...consumerSettings(connection, groupId),
        'queued.max.messages.kbytes': 8 * 1024,
        queue_non_empty_cb: () => this.#ready.set(),
      },
      { 'auto.offset.reset': 'earliest' },
    );
    native.setDefaultConsumeTimeout(0);
    native.on('partition.eof', (end: Required<NativePosition>) => {
      this.#endAt = end.offset;
    });
    await connectHandle(native, this.#options);
    return native;
  }
}
