import { type Digest, DigestTable } from './digest-table.ts';

/** The tables of one time to live are dropped whole, so a key outlives it by at most this share of it. */
const TABLES_PER_TTL = 4;

/**
 * Marks by time: one {@link DigestTable} for each quarter of the time to live, so that forgetting is dropping
 * a table. Expiry is exact all the same: the time of each mark is compared.
 */
export class MarkTables {
  readonly #ttlMs: number;
  /** Oldest first; the last one takes new marks. */
  #tables: DigestTable[];

  constructor(ttlMs: number, tables: readonly DigestTable[] = []) {
    this.#ttlMs = ttlMs;
    this.#tables = [...tables];
  }

  /** The tables, oldest first; all but the last no longer change but for dropped ones. */
  get tables(): readonly DigestTable[] {
    return this.#tables;
  }

  /** Keys held, expired ones that wait for their table to be dropped included. */
  get count(): number {
    return this.#tables.reduce((sum, table) => sum + table.count, 0);
  }

  /** When the latest mark of a digest stops counting, epoch ms; undefined where it has none. */
  expiresAtMs(digest: Digest): number | undefined {
    let latestMs = Number.NEGATIVE_INFINITY;
    for (const table of this.#tables) {
      const timeMs = table.timeOf(digest);
      // NaN (not in this table) compares false.
      if (timeMs > latestMs) latestMs = timeMs;
    }
    return latestMs === Number.NEGATIVE_INFINITY ? undefined : latestMs + this.#ttlMs;
  }

  /** Remembers a first sighting. */
  mark(digest: Digest, timeMs: number): void {
    this.#tableFor(timeMs).set(digest, timeMs);
  }

  #tableFor(timeMs: number): DigestTable {
    const last = this.#tables.at(-1);
    if (last !== undefined && timeMs - last.baseMs < this.#ttlMs / TABLES_PER_TTL && last.canHold(timeMs)) {
      return last;
    }
    this.#tables = this.#tables.filter(table => table.latestMs + this.#ttlMs > timeMs);
    const table = new DigestTable(timeMs);
    this.#tables.push(table);
    return table;
  }
}
