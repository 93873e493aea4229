import type pg from 'pg';
import type { ColumnValue } from '../../core/relations.ts';
import { numbered } from './postgres-connection.ts';
import { encodeText } from './postgres-text.ts';
import type { SqlRow } from './sql-database.ts';

/** The rows that a statement with `?` answers. */
export async function select(
  target: pg.Pool | pg.ClientBase,
  sql: string,
  values: readonly ColumnValue[],
): Promise<readonly SqlRow[]> {
  const { rows } = await target.query<Record<string, unknown>>(numbered(sql), values.map(encodeValue));
  return rows;
}

/** Runs the call in one transaction; after a failure the connection is given up, which undoes it. */
export async function inTransaction<T>(
  pool: pg.Pool,
  call: (client: pg.ClientBase) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  // A pool does not listen on connections that are lent; what breaks one fails the statement that waits on it.
  const ignore = (): void => {};
  client.on('error', ignore);
  try {
    await client.query('BEGIN');
    const result = await call(client);
    await client.query('COMMIT');
    client.off('error', ignore);
    client.release();
    return result;
  } catch (error) {
    client.release(true);
    throw error;
  }
}

/** A value as a parameter: see {@link encodeText}. */
export function encodeValue(value: ColumnValue): ColumnValue {
  return typeof value === 'string' ? encodeText(value) : value;
}
