import type { PollLimit } from '../../../core/ports.ts';
import type { LogRecord } from '../../../core/record.ts';
import { bytesOf } from './kafka-record.ts';
import type { Tenure } from './tenures.ts';

/** Records that wait to be handed out, each with the tenure that it was fetched in, in the order they came. */
export class TenureBuffer {
  readonly #entries: { readonly record: LogRecord; readonly tenure: Tenure }[] = [];
  #at = 0;
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#at === this.#entries.length;
  }

  /** True while it holds less than a poll takes. */
  isShortOf({ recordsMax, bytesMax }: PollLimit): boolean {
    return this.#entries.length - this.#at < recordsMax && this.#bytes < bytesMax;
  }

  /** Adds records of a partition, without those that its tenure has had. */
  add(records: readonly LogRecord[], tenure: Tenure): void {
    for (const record of records) {
      if (!tenure.fetched(record.offset)) continue;
      this.#entries.push({ record, tenure });
      this.#bytes += bytesOf(record);
    }
  }

  /** Takes what a poll hands out; what belongs to a tenure that ended, or is about to, is dropped. */
  take({ recordsMax, bytesMax }: PollLimit): readonly LogRecord[] {
    const records: LogRecord[] = [];
    let bytes = 0;
    while (!this.isEmpty && records.length < recordsMax && (records.length === 0 || bytes < bytesMax)) {
      const { record, tenure } = this.#entries[this.#at++]!;
      this.#bytes -= bytesOf(record);
      if (!tenure.isOpen || tenure.isRevoking) continue;
      bytes += bytesOf(record);
      tenure.handed(record.offset);
      records.push(record);
    }
    if (this.isEmpty) {
      this.#entries.length = 0;
      this.#at = 0;
    }
    return records;
  }
}
