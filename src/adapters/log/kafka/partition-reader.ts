import { MillraceError } from '../../../core/errors.ts';
import type { LogRecord } from '../../../core/record.ts';
import type { Logger } from '../../../observability/logger.ts';
import { Fetcher } from './fetcher.ts';
import type { KafkaAdmin } from './kafka-admin.ts';
import { bytesOf } from './kafka-record.ts';
import type { KafkaConnection } from './kafka-settings.ts';
import { ReadySignal } from './ready-signal.ts';
import type { Place } from './tenures.ts';

/** What the reader is made with. */
export interface PartitionReaderOptions {
  readonly connection: KafkaConnection;
  readonly admin: KafkaAdmin;
  readonly requestMsMax: number;
  readonly logger: Logger;
}

const READ_BYTES_MAX = 8 * 1024 * 1024;
const LOOK_MS = 100;

/** Reads records by position, one read at a time, committed ones only. Is no member of any group. */
export class PartitionReader {
  readonly #options: PartitionReaderOptions;
  readonly #ready = new ReadySignal();
  #fetcher: Fetcher | null = null;
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
    await this.#fetcher?.close();
  }

  async #read(place: Place, fromOffset: number, recordsMax: number): Promise<readonly LogRecord[]> {
    if (this.#isClosed) throw new MillraceError('ERR_LOG_CLOSED', 'the log is closed');
    const { topic, partition } = place;
    const ends = await this.#options.admin.ends([{ topic, partitions: partition + 1 }]);
    const { startOffset, endOffset } = ends.get(topic)![partition]!;
    if (fromOffset >= endOffset) return [];
    this.#fetcher ??= new Fetcher({ ...this.#options, waitMsMax: 0, onReady: () => this.#ready.set() });
    this.#fetcher.add(place, Math.max(fromOffset, startOffset));
    try {
      return await this.#collect(this.#fetcher, place, recordsMax);
    } finally {
      this.#fetcher.remove(place);
    }
  }

  async #collect(fetcher: Fetcher, place: Place, recordsMax: number): Promise<readonly LogRecord[]> {
    const { requestMsMax, connection } = this.#options;
    const deadlineMs = performance.now() + requestMsMax;
    const records: LogRecord[] = [];
    let bytes = 0;
    // Ends at the limits, at the end of the partition or at the deadline.
    while (records.length < recordsMax && bytes < READ_BYTES_MAX) {
      this.#ready.clear();
      const fetched = fetcher.next();
      for (const record of fetched?.records.slice(0, recordsMax - records.length) ?? []) {
        records.push(record);
        bytes += bytesOf(record);
      }
      if (fetched?.end !== undefined || this.#isClosed) break;
      if (fetched !== undefined) continue;
      if (performance.now() > deadlineMs) {
        if (records.length > 0) break;
        const why = `${connection.brokers.join(', ')}: ${place.topic}:${place.partition} cannot be read`;
        throw new MillraceError('ERR_STORE_UNAVAILABLE', `${why} within ${requestMsMax} ms`);
      }
      await this.#ready.wait(LOOK_MS);
    }
    return records;
  }
}
