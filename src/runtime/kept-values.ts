import type { Json } from '../core/event.ts';

/** A value that was read before, its depth (containers within each other), and the text that it was read from. */
export interface Kept {
  readonly text: Buffer;
  readonly value: Json;
  readonly depth: number;
}

/** Longer texts are read anew each time. */
const TEXT_BYTES_MAX = 2048;
const KEPT_MAX = 16;

/**
 * The values last read under one name. The events of a device have their context, their actor and mostly their object
 * in common, so that most of what a batch says was said by the event before. The same text means the same value, and
 * values are never changed: it is handed out again. Holds at most 16 texts of 2 KiB.
 */
export class KeptValues {
  readonly #kept: Kept[] = [];
  #last = 0;
  #oldest = 0;

  /** What the bytes at `at` begin with; undefined where it was not read lately. */
  find(bytes: Uint8Array, at: number): Kept | undefined {
    const kept = this.#kept;
    const count = kept.length;
    for (let turn = 0; turn < count; turn++) {
      // What follows upon one value mostly is it again, or what followed upon it before.
      const index = (this.#last + turn) % count;
      const one = kept[index]!;
      if (!isAt(one.text, bytes, at)) continue;
      this.#last = index;
      return one;
    }
    return undefined;
  }

  /**
   * Keeps a value in place of the oldest.
   * @param text  of an object or a text: no other text begins with it. Copied
   * @param depth  containers within each other, 0 for a text
   */
  keep(text: Uint8Array, value: Json, depth: number): void {
    if (text.length > TEXT_BYTES_MAX) return;
    this.#kept[this.#oldest] = { text: Buffer.from(text), value, depth };
    this.#last = this.#oldest;
    this.#oldest = (this.#oldest + 1) % KEPT_MAX;
  }
}

/** Shorter texts are compared sooner here than by a call out of JavaScript. */
const CALL_BYTES_MIN = 32;

function isAt(text: Buffer, bytes: Uint8Array, at: number): boolean {
  const { length } = text;
  const end = at + length;
  const middle = length >> 1;
  // Two bytes tell most others apart.
  if (bytes[end - 1] !== text[length - 1] || bytes[at + middle] !== text[middle]) return false;
  if (length >= CALL_BYTES_MIN) return end <= bytes.length && text.compare(bytes, at, end) === 0;
  for (let i = 0; i < length; i++) if (bytes[at + i] !== text[i]) return false;
  return true;
}
