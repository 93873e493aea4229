import type pg from 'pg';
import type { ColumnValue } from '../../core/relations.ts';
import { encodeText } from './postgres-text.ts';
import type { SqlInsert } from './sql-database.ts';

const PIECE_ROWS = 200;

/**
 * Adds the rows by COPY, which takes about half the time of an INSERT; rejects with 23505 where a key is there
 * already. The caller owns the transaction.
 */
export function copyRows(client: pg.ClientBase, { table, columns, rows }: SqlInsert): Promise<void> {
  const names = columns.map(column => `"${column}"`).join(', ');
  return new Promise((resolve, reject) => {
    client.query(
      new CopyIn(`COPY ${table} (${names}) FROM STDIN`, rows, error => {
        if (error === undefined || error === null) resolve();
        else reject(error);
      }),
    );
  });
}

/** What the client's connection has besides what its types say. */
interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** A COPY as the client runs one: it calls the methods below for the server's messages. */
class CopyIn implements pg.Submittable {
  /** By this name the client finds it, to end its own time-out. */
  callback: (error?: unknown) => void;
  readonly #sql: string;
  readonly #rows: SqlInsert['rows'];

  constructor(sql: string, rows: SqlInsert['rows'], callback: (error?: unknown) => void) {
    this.#sql = sql;
    this.#rows = rows;
    this.callback = callback;
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#sql);
  }

  /**
   * In pieces, so that the server stores the first while the next is made. Where it refuses a row it drops what is
   * still on its way.
   */
  handleCopyInResponse(connection: CopyConnection): void {
    for (let at = 0; at < this.#rows.length; at += PIECE_ROWS) {
      const piece = this.#rows.slice(at, at + PIECE_ROWS);
      connection.sendCopyFromChunk(Buffer.from(piece.map(lineOf).join('')));
    }
    connection.endCopyFrom();
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.callback();
  }

  handleError(error: unknown): void {
    this.callback(error);
  }
}

/** COPY's text format: tabs between values, `\N` for none. */
function lineOf(row: readonly ColumnValue[]): string {
  return `${row.map(textOf).join('\t')}\n`;
}

function textOf(value: ColumnValue): string {
  if (value === null) return '\\N';
  return typeof value === 'number' ? String(value) : escaped(encodeText(value));
}

const TO_ESCAPE = /[\\\n\r\t]/;
const EACH_TO_ESCAPE = /[\\\n\r\t]/g;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escaped(text: string): string {
  return TO_ESCAPE.test(text) ? text.replace(EACH_TO_ESCAPE, character => ESCAPES[character]!) : text;
}
