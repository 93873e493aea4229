import type { QueryDocument } from '../../core/documents.ts';
import { assert, MillraceError } from '../../core/errors.ts';
import type { Json } from '../../core/event.ts';
import { decodeText } from './postgres-text.ts';
import { distinctNames } from './query-answer.ts';

/** What an answer may hold, and who is told when it holds it. */
export interface PostgresRowsLimits {
  readonly rowsMax: number;
  /** Bytes that may come from the server; characters of the rows as JSON: the row that would pass it is left out. */
  readonly answerBytesMax: number;
  /** Called once, when no more rows are wanted. */
  onFull(): void;
}

/** A column as the server describes it. */
export interface PostgresColumn {
  readonly name: string;
  readonly dataTypeID: number;
}

const BOOLEAN = 16;
const BYTES = 17;
const NUMERIC = 1700;
const INTEGERS: readonly number[] = [20, 21, 23, 26, BOOLEAN];
const REALS: readonly number[] = [700, 701];

/**
 * Rows of a query as they come from the server, up to the limits, as the document that SQLite's side answers too:
 * integers up to 2^53 are numbers and beyond it texts, booleans 1 and 0, bytes hexadecimal texts, infinities null.
 */
export class PostgresRows {
  readonly #limits: PostgresRowsLimits;
  readonly #rows: Readonly<Record<string, Json>>[] = [];
  #columns: readonly PostgresColumn[] = [];
  #names: readonly string[] = [];
  #types: (string | undefined)[] = [];
  #receivedBytes = 0;
  #answerBytes = 0;
  #isFull = false;

  constructor(limits: PostgresRowsLimits) {
    this.#limits = limits;
  }

  /** True where rows were left out. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Counts what came from the server, before anything of it is kept for long: one value may be a gigabyte. */
  received(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes > this.#limits.answerBytesMax) this.#fill();
  }

  /** Takes the columns; again is as well. */
  described(columns: readonly PostgresColumn[]): void {
    if (this.#columns === columns) return;
    this.#columns = columns;
    this.#names = distinctNames(columns.map(column => column.name));
    this.#types = columns.map(({ dataTypeID }) => declaredType(dataTypeID));
  }

  /** Takes a row of the server's texts, once the columns are known. */
  add(texts: readonly (string | null)[]): void {
    if (this.#isFull) return;
    assert(texts.length === this.#columns.length, 'a row has a value for each column');
    const row = Object.fromEntries(
      texts.map((text, at) => [this.#names[at]!, cellOf(text, this.#columns[at]!.dataTypeID)]),
    );
    this.#answerBytes += JSON.stringify(row).length + 1;
    if (this.#rows.length === this.#limits.rowsMax || this.#answerBytes > this.#limits.answerBytesMax) {
      this.#fill();
      return;
    }
    this.#rows.push(row);
    for (const [at, text] of texts.entries()) if (text !== null) this.#types[at] ??= numericType(text);
  }

  /**
   * The answer; a numeric column is of the type of its first value, real where it has none. Throws ERR_QUERY_MEMORY
   * where not even the first row has room in an answer.
   */
  document(): QueryDocument {
    const { answerBytesMax } = this.#limits;
    if (this.#isFull && this.#rows.length === 0) {
      throw new MillraceError('ERR_QUERY_MEMORY', `its first row takes more than ${answerBytesMax} bytes`, {
        remedy: 'Select fewer columns, or parts of the texts.',
      });
    }
    const columns = this.#names.map((name, at) => ({ name, type: this.#types[at] ?? 'real' }));
    return { columns, rows: this.#rows, truncated: this.#isFull };
  }

  #fill(): void {
    if (this.#isFull) return;
    this.#isFull = true;
    this.#limits.onFull();
  }
}

/** Undefined for numeric, whose values tell: sums of integers are numeric. */
function declaredType(oid: number): string | undefined {
  if (oid === NUMERIC) return undefined;
  if (INTEGERS.includes(oid)) return 'integer';
  return REALS.includes(oid) ? 'real' : 'text';
}

function numericType(text: string): string {
  return isInteger(text) ? 'integer' : 'real';
}

function isInteger(text: string): boolean {
  return /^-?\d+$/.test(text);
}

function cellOf(text: string | null, oid: number): Json {
  if (text === null) return null;
  if (oid === BOOLEAN) return text === 't' ? 1 : 0;
  if (oid === BYTES) return text.replace(/^\\x/, '');
  if (INTEGERS.includes(oid) || (oid === NUMERIC && isInteger(text))) {
    // By the text: 2^53 + 1 is read as 2^53, which is exact itself.
    return String(Number(text)) === text && Math.abs(Number(text)) <= 2 ** 53 ? Number(text) : text;
  }
  if (oid === NUMERIC || REALS.includes(oid)) return Number.isFinite(Number(text)) ? Number(text) : null;
  return decodeText(text);
}
