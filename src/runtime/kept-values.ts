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
  /** The one used last comes first. */
  readonly #kept: Kept[] = [];

  /** What the bytes at `at` begin with; undefined where it was not read lately. */
  find(bytes: Uint8Array, at: number): Kept | undefined {
    const kept = this.#kept;
    const index = kept.findIndex(({ text }) => isAt(text, bytes, at));
    if (index === -1) return undefined;
    const found = kept[index]!;
    for (let i = index; i > 0; i--) kept[i] = kept[i - 1]!;
    kept[0] = found;
    return found;
  }

  /**
   * Keeps a value in place of the one unused longest.
   * @param text  of an object or a text: no other text begins with it. Copied
   * @param depth  containers within each other, 0 for a text
   */
  keep(text: Uint8Array, value: Json, depth: number): void {
    if (text.length > TEXT_BYTES_MAX) return;
    if (this.#kept.length === KEPT_MAX) this.#kept.pop();
    this.#kept.unshift({ text: Buffer.from(text), value, depth });
  }
}

/** Shorter texts are compared sooner here than by a call out of JavaScript. */
const CALL_BYTES_MIN = 32;

function isAt(text: Buffer, bytes: Uint8Array, at: number): boolean {
  const { length } = text;
  const end = at + length;
  if (bytes[end - 1] !== text[length - 1] || end > bytes.length) return false;
  // A few bytes tell most others apart.
  const step = (length >> 3) + 1;
  for (let i = 0; i < length; i += step) if (bytes[at + i] !== text[i]) return false;
  if (length >= CALL_BYTES_MIN) return text.compare(bytes, at, end) === 0;
  for (let i = 0; i < length; i++) if (bytes[at + i] !== text[i]) return false;
  return true;
}
