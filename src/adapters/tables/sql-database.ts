import type { ColumnValue } from '../../core/relations.ts';

/** A row of an answer by column name. Integers up to 2^53 are numbers. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** One statement with the values of its `?`, in their order. */
export interface SqlStatement {
  readonly sql: string;
  readonly values: readonly ColumnValue[];
}

/** Rows for one table; each holds a value for every column, in the order of `columns`. */
export interface SqlInsert {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly ColumnValue[])[];
}

/** Reads by SQL that SQLite and PostgreSQL both take. */
export interface SqlReader {
  all(sql: string, values: readonly ColumnValue[]): Promise<readonly SqlRow[]>;
}

/**
 * What the look-ups and the sinks' writes need of a database. Values are bound to `?`; the SQL of the callers
 * comes from a small fixed set, so that an implementation may keep what it prepared. Rejects with `unavailable`
 * errors only.
 */
export interface SqlDatabase extends SqlReader {
  /** Adds the rows in one transaction; a row whose key is there already is left as it is. */
  insert(inserts: readonly SqlInsert[]): Promise<void>;
  /** Runs the statements in one transaction; resolves with how many rows they changed. */
  change(statements: readonly SqlStatement[]): Promise<number>;
  /** Bytes that the tables take. */
  sizeBytes(): Promise<number>;
  close(): Promise<void>;
}

/** A database whose schema may be changed. */
export interface SqlSchemaOwner {
  /**
   * Runs the call in one transaction that no other process can be in at the same time, after waiting for it; a
   * rejection undoes everything. Nothing else may use the database meanwhile.
   */
  alone<T>(call: (session: SchemaSession) => Promise<T>): Promise<T>;
}

/** What a schema change may do inside its transaction. */
export interface SchemaSession extends SqlReader {
  /** Runs the statements of a script. */
  run(script: string): Promise<void>;
}

/** A column's text; null where it is null or absent. */
export function textOf(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}
