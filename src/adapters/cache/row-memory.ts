import type { JsonObject } from '../../core/event.ts';

/** A row held in memory, or the knowledge that there is none. */
export interface HeldRow {
  readonly row: JsonObject | undefined;
  /** Length of its JSON text and its key: what the limit counts; the parsed form takes a few times as much. */
  readonly sizeBytes: number;
}

/** The rows used last, bounded by count and by size; the one unused longest goes first. */
export class RowMemory {
  readonly #limits: { readonly rowsMax: number; readonly bytesMax: number };
  // A Map keeps the order of insertion: the first entry is the one unused longest.
  readonly #rows = new Map<string, HeldRow>();
  #sizeBytes = 0;

  constructor(limits: { readonly rowsMax: number; readonly bytesMax: number }) {
    this.#limits = limits;
  }

  /** The entry of a key, now the one used last; undefined where nothing is known of it. */
  find(key: string): HeldRow | undefined {
    const held = this.#rows.get(key);
    if (held === undefined) return undefined;
    this.#rows.delete(key);
    this.#rows.set(key, held);
    return held;
  }

  /** Keeps an entry for a key that has none, and lets go of others to stay within the limits. */
  keep(key: string, held: HeldRow): void {
    if (this.#rows.has(key)) return;
    this.#rows.set(key, held);
    this.#sizeBytes += held.sizeBytes;
    for (const [oldest, { sizeBytes }] of this.#rows) {
      if (this.#rows.size <= this.#limits.rowsMax && this.#sizeBytes <= this.#limits.bytesMax) return;
      this.#rows.delete(oldest);
      this.#sizeBytes -= sizeBytes;
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#rows.clear();
    this.#sizeBytes = 0;
  }
}
