/** Bytes that are kept for later drafts, at most. */
const FREE_BYTES_MAX = 16 * 1024 * 1024;
const BUFFER_BYTES_MIN = 4 * 1024;

/**
 * The memory that drafts of one thread are encoded in. It is shared with the log's owner and used again: memory
 * that is new for each commit cost a page fault for every four kilobytes, and lived on until it was collected.
 */
export class DraftMemory {
  /** Shortest first. */
  readonly #free: Buffer<SharedArrayBuffer>[] = [];
  #freeBytes = 0;
  readonly #isEven: boolean;
  /** Bytes that the last draft took for a partition. */
  readonly #lastBytes = new Map<string, number>();

  /** `isEven`: drafts of a partition resemble each other; else none is expected to be as large as the one before. */
  constructor({ isEven }: { readonly isEven: boolean }) {
    this.#isEven = isEven;
  }

  /** The shortest free piece of at least so many bytes, else a new one; its contents are anything. */
  take(bytes: number): Buffer<SharedArrayBuffer> {
    const index = this.#free.findIndex(buffer => buffer.length >= bytes);
    if (index === -1) {
      const rounded = 2 ** Math.ceil(Math.log2(Math.max(BUFFER_BYTES_MIN, bytes)));
      return Buffer.from(new SharedArrayBuffer(rounded));
    }
    const [buffer] = this.#free.splice(index, 1);
    this.#freeBytes -= buffer!.length;
    return buffer!;
  }

  /** Takes a piece back that nobody reads any more; what is too much for the bound is let go, short ones first. */
  give(buffer: Buffer<SharedArrayBuffer>): void {
    const at = this.#free.findIndex(({ length }) => length >= buffer.length);
    this.#free.splice(at === -1 ? this.#free.length : at, 0, buffer);
    this.#freeBytes += buffer.length;
    while (this.#freeBytes > FREE_BYTES_MAX) this.#freeBytes -= this.#free.shift()!.length;
  }

  /** Bytes that a draft will want for a partition, going by the one before, with room for a record more. */
  expected(place: string): number {
    const lastBytes = this.#isEven ? (this.#lastBytes.get(place) ?? 0) : 0;
    return lastBytes + lastBytes / 8;
  }

  /** Notes how much a draft took for a partition. */
  remember(place: string, bytes: number): void {
    this.#lastBytes.set(place, bytes);
  }
}
