import type { Append, Commit, CommitDraft, CommitResult, RecordWriter } from '../../../core/ports.ts';
import type { NewRecord, ValueText } from '../../../core/record.ts';

const BLOCK_BYTES = 1024 * 1024;
/** Blocks that are kept for later drafts. */
const FREE_BLOCKS_MAX = 16;
/** UTF-8 bytes of one UTF-16 unit, at most. */
const UNIT_BYTES_MAX = 3;
/** By `copy`: `set` of a typed array takes ten times as long, and needs a view of the piece. */
const { copy } = Buffer.prototype;

/** Memory that drafts write values into, used again by the next ones. */
export class DraftBlocks {
  readonly #free: Buffer[] = [];

  /** A block of at least so many bytes; its contents are anything. */
  take(bytes: number): Buffer {
    if (bytes > BLOCK_BYTES) return Buffer.allocUnsafeSlow(bytes);
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  /** Takes blocks back that nobody reads any more. */
  give(blocks: readonly Buffer[]): void {
    for (const block of blocks) {
      if (block.length === BLOCK_BYTES && this.#free.length < FREE_BLOCKS_MAX) this.#free.push(block);
    }
  }
}

/** What a draft is made with. */
export interface KafkaDraftOptions {
  readonly blocks: DraftBlocks;
  /** Throws ERR_TOPIC_UNKNOWN. */
  checkPartition(topic: string, partition: number): void;
  /** Reads the records until it resolves, and not after. */
  commit(commit: Commit): Promise<CommitResult>;
}

interface OpenAppend extends Append {
  readonly records: NewRecord[];
  readonly writer: RecordWriter;
}

/**
 * A commit whose values are pieces of a few large blocks: memory of its own for each value lives outside V8's heap,
 * and made its collector run after every few thousand records.
 */
export class KafkaDraft implements CommitDraft {
  readonly #options: KafkaDraftOptions;
  readonly #appends = new Map<string, OpenAppend>();
  readonly #used: Buffer[] = [];
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(options: KafkaDraftOptions) {
    this.#options = options;
  }

  writer(topic: string, partition: number): RecordWriter {
    const place = `${topic}\n${partition}`;
    let append = this.#appends.get(place);
    if (append === undefined) {
      this.#options.checkPartition(topic, partition);
      append = this.#open(topic, partition);
      this.#appends.set(place, append);
    }
    return append.writer;
  }

  async commit(rest: Omit<Commit, 'appends'>): Promise<CommitResult> {
    const used = [...this.#appends.values()].filter(({ records }) => records.length > 0);
    const appends = used.map(({ topic, partition, records }) => ({ topic, partition, records }));
    const result = await this.#options.commit({ appends, ...rest });
    // Kept where it rejected: the same bytes are committed again.
    this.#options.blocks.give(this.#used.splice(0));
    this.#appends.clear();
    return result;
  }

  #open(topic: string, partition: number): OpenAppend {
    const records: NewRecord[] = [];
    const writer: RecordWriter = {
      add: ({ key, timeMs, headers }, value) =>
        records.push({ key, timeMs, headers, value: this.#write(value) }),
    };
    return { topic, partition, records, writer };
  }

  #write({ head, from, to, tail }: ValueText): Buffer {
    const bytesMax = to - from + tail.length * (typeof tail === 'string' ? UNIT_BYTES_MAX : 1);
    if (bytesMax > this.#block.length - this.#at) {
      // A draft of one record, as of each request to ingest, does not hold a block for it.
      const isFirst = this.#block.length === 0;
      this.#block = isFirst ? Buffer.allocUnsafeSlow(bytesMax) : this.#options.blocks.take(bytesMax);
      this.#used.push(this.#block);
      this.#at = 0;
    }
    const start = this.#at;
    const tailAt = start + copy.call(head, this.#block, start, from, to);
    const tailBytes =
      typeof tail === 'string' ? this.#block.write(tail, tailAt) : copy.call(tail, this.#block, tailAt);
    this.#at = tailAt + tailBytes;
    return this.#block.subarray(start, this.#at);
  }
}
