import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { decodeHeader, FIXED_BYTES, type FrameHeader, findFrame, headerBytesOf } from './frame.ts';
import { readFrom } from './journal-files.ts';

/** Bytes that one read of the file takes ahead, at least. */
const WINDOW_BYTES = 1024 * 1024;

/** What lies at an address of a segment. */
export type Step =
  | { readonly kind: 'frame'; readonly header: FrameHeader }
  /** Bytes `[from, to)` that are no whole frame; `cut` is the header of one that `to` cuts off. */
  | { readonly kind: 'gap'; readonly from: number; readonly to: number; readonly cut: FrameHeader | null }
  | { readonly kind: 'end' };

/**
 * A segment read through one reusable buffer. Addresses are the journal's; nothing at or beyond the limit a
 * call names is read, because a failed write may be cut back and other bytes come to lie there.
 */
export class SegmentWindow {
  readonly base: number;
  readonly #path: string;
  readonly #handle: FileHandle;
  #buffer: Buffer<ArrayBuffer> = Buffer.alloc(0);
  #start = 0;
  #length = 0;

  private constructor(path: string, base: number, handle: FileHandle) {
    this.#path = path;
    this.base = base;
    this.#handle = handle;
  }

  /** Rejects with ENOENT where the segment is gone, with ERR_STORE_UNAVAILABLE where it cannot be read. */
  static async open(path: string, base: number): Promise<SegmentWindow> {
    return new SegmentWindow(path, base, await readFrom(path, open(path, 'r')));
  }

  /** Address of the end of the file as it is now. */
  async end(): Promise<number> {
    return this.base + (await this.#handle.stat()).size;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** A view of up to `bytes` bytes, valid until the next call; shorter at the limit or the end of the file. */
  async view(address: number, bytes: number, limit: number): Promise<Buffer> {
    const wanted = Math.min(bytes, limit - address);
    if (address < this.#start || address + wanted > this.#start + this.#length) {
      await this.#fill(address, wanted, limit);
    }
    const from = address - this.#start;
    return this.#buffer.subarray(from, Math.min(from + wanted, this.#length));
  }

  /** A copy of exactly `bytes` bytes, in `target` of that length where it is given; null where the file ends before. */
  async copy(address: number, bytes: number, target?: Buffer): Promise<Buffer | null> {
    const copy = target ?? Buffer.allocUnsafeSlow(bytes);
    const from = address - this.#start;
    if (from >= 0 && from + bytes <= this.#length) {
      this.#buffer.copy(copy, 0, from, from + bytes);
      return copy;
    }
    return (await this.#read(copy, address, bytes)) === bytes ? copy : null;
  }

  /** CRC32 of a range, read piece by piece; null where the file ends before. */
  async checksum(address: number, bytes: number): Promise<number | null> {
    let crc = 0;
    for (let at = address; at < address + bytes; ) {
      const view = await this.view(at, Math.min(WINDOW_BYTES, address + bytes - at), address + bytes);
      if (view.length === 0) return null;
      crc = crc32(view, crc);
      at += view.length;
    }
    return crc;
  }

  /** What lies at an address below `limit`, which is an address too. */
  async step(address: number, limit: number): Promise<Step> {
    if (address >= limit) return { kind: 'end' };
    const header = await this.#headerAt(address, limit);
    if (header === null) return this.#gap(address, limit);
    if (address + header.frameBytes > limit) return { kind: 'gap', from: address, to: limit, cut: header };
    return { kind: 'frame', header };
  }

  /** Searches for the next whole frame after unreadable bytes; the gap reaches to it, else to the limit. */
  async #gap(from: number, limit: number): Promise<Step> {
    for (let at = from + 1; at + FIXED_BYTES <= limit; ) {
      const view = await this.view(at, WINDOW_BYTES, limit);
      if (view.length < FIXED_BYTES) break;
      const found = findFrame(view, at);
      if (found === -1) {
        at += view.length - FIXED_BYTES + 1; // a fixed part may lie across the edge
        continue;
      }
      const header = await this.#headerAt(at + found, limit);
      if (header !== null && header.address + header.frameBytes <= limit) {
        return { kind: 'gap', from, to: header.address, cut: null };
      }
      at += found + 1;
    }
    return { kind: 'gap', from, to: limit, cut: null };
  }

  async #headerAt(address: number, limit: number): Promise<FrameHeader | null> {
    const headerBytes = headerBytesOf(await this.view(address, FIXED_BYTES, limit), address);
    if (headerBytes === undefined || address + headerBytes > limit) return null;
    const bytes = await this.view(address, headerBytes, limit);
    return bytes.length === headerBytes ? decodeHeader(bytes) : null;
  }

  async #fill(address: number, wanted: number, limit: number): Promise<void> {
    const bytes = Math.max(wanted, Math.min(WINDOW_BYTES, limit - address));
    // Doubling keeps the window of a short journal small, and one that follows a growing one from starting anew.
    if (this.#buffer.length < bytes) this.#buffer = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
    this.#length = 0;
    const read = await this.#read(this.#buffer, address, bytes);
    this.#start = address;
    this.#length = read;
  }

  async #read(target: Buffer, address: number, bytes: number): Promise<number> {
    let read = 0;
    while (read < bytes) {
      const position = address - this.base + read;
      const reading = this.#handle.read(target, read, bytes - read, position);
      const { bytesRead } = await readFrom(this.#path, reading);
      if (bytesRead === 0) break;
      read += bytesRead;
    }
    return read;
  }
}
