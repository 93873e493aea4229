/** Bytes that are kept to be lent again, at most. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;
const BLOCK_BYTES_MIN = 64 * 1024;

/**
 * Memory for what a poll hands out, used again by the next one. Memory that is new each time is mapped page by page:
 * copying a section into it took four times as long.
 */
export class LentMemory {
  #free: Buffer[] = [];
  #lent: Buffer[] = [];

  /** A buffer of so many bytes, good until {@link reclaim}; its contents are anything. */
  lend(bytes: number): Buffer {
    const index = this.#free.findIndex(block => block.length >= bytes);
    const block = index === -1 ? newBlock(bytes) : this.#free.splice(index, 1)[0]!;
    this.#lent.push(block);
    return block.subarray(0, bytes);
  }

  /** Takes back all that was lent, but for the block that `kept` lies in. */
  reclaim(kept: Buffer | undefined): void {
    if (this.#lent.length === 0) return;
    const isKept = (block: Buffer): boolean => block.buffer === kept?.buffer;
    this.#free.push(...this.#lent.filter(block => !isKept(block)));
    this.#lent = this.#lent.filter(isKept);
    let bytes = 0;
    this.#free = this.#free.filter(block => {
      bytes += block.length;
      return bytes <= KEPT_BYTES_MAX;
    });
  }
}

/** Of its own memory, so that a block is told by it. */
function newBlock(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(Math.max(BLOCK_BYTES_MIN, bytes))));
}
