import type pg from 'pg';
import { assert } from '../../core/errors.ts';
import type { ColumnValue } from '../../core/relations.ts';
import { copyRows } from './postgres-copy.ts';
import { sqlStateOf } from './postgres-error.ts';
import { encodeValue, inTransaction, select } from './postgres-statements.ts';
import type { SqlInsert } from './sql-database.ts';

/** Rows of one statement: with 10,000 of 1.5 KB it holds 15 MB in the client and the server. */
const STATEMENT_ROWS_MAX = 10_000;
const KEY_IS_THERE = '23505';

/**
 * Adds rows, all of a call in one transaction; a row whose key is there already is left as it is.
 *
 * Rows are nearly always new, and COPY costs about half of an INSERT that looks for conflicts. So COPY is tried
 * first; where a key is there already the whole call is made again by INSERT … ON CONFLICT DO NOTHING, and so are
 * the next ones, until one of them found nothing but new rows: after a crash a batch is repeated, seldom many.
 */
export function createPostgresInserter(pool: pg.Pool): (inserts: readonly SqlInsert[]) => Promise<void> {
  const columnTypes = memoised(() => readColumnTypes(pool));
  let isRepeating = false;
  return async inserts => {
    const chunks = inserts.flatMap(chunked);
    const types = await columnTypes();
    if (!isRepeating) {
      try {
        await inTransaction(pool, async client => {
          for (const chunk of chunks) await copyRows(client, chunk, typesOf(chunk, types));
        });
        return;
      } catch (error) {
        if (sqlStateOf(error) !== KEY_IS_THERE) throw error;
        isRepeating = true;
      }
    }
    const added = await inTransaction(pool, async client => {
      let count = 0;
      for (const chunk of chunks) {
        count += (await client.query(insertSql(chunk, types), columnsOf(chunk))).rowCount ?? 0;
      }
      return count;
    });
    isRepeating = added < chunks.reduce((sum, { rows }) => sum + rows.length, 0);
  };
}

function typesOf({ table, columns }: SqlInsert, types: ColumnTypes): readonly (string | undefined)[] {
  return columns.map(column => types.get(`${table}.${column}`));
}

type ColumnTypes = ReadonlyMap<string, string>;

/**
 * `table.column` → type, as the schema has it: the migrations say it once. From the catalog itself, since
 * information_schema hides what the user has no right on, and the insert is to say which right that is.
 */
async function readColumnTypes(pool: pg.Pool): Promise<ColumnTypes> {
  const rows = await select(
    pool,
    `SELECT relname, attname, format_type(atttypid, atttypmod) AS type
     FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     WHERE relnamespace = current_schema()::regnamespace AND attnum > 0 AND relkind = 'r' AND NOT attisdropped`,
    [],
  );
  return new Map(rows.map(row => [`${row['relname']}.${row['attname']}`, String(row['type'])]));
}

/** What the call resolved with; after a rejection it is called again. */
function memoised<T>(call: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined;
  return () => {
    known ??= call().catch(error => {
      known = undefined;
      throw error;
    });
    return known;
  };
}

function chunked(insert: SqlInsert): readonly SqlInsert[] {
  const chunks: SqlInsert[] = [];
  for (let from = 0; from < insert.rows.length; from += STATEMENT_ROWS_MAX) {
    chunks.push({ ...insert, rows: insert.rows.slice(from, from + STATEMENT_ROWS_MAX) });
  }
  return chunks;
}

/** One array a column: the statement is the same for any number of rows. */
function insertSql({ table, columns }: SqlInsert, types: ColumnTypes): string {
  const names = columns.map(column => `"${column}"`).join(', ');
  const arrays = columns.map((column, at) => {
    const type = types.get(`${table}.${column}`);
    assert(type !== undefined, `the migrations make ${table}.${column}`);
    return `$${at + 1}::${type}[]`;
  });
  return `INSERT INTO ${table} (${names}) SELECT * FROM unnest(${arrays.join(', ')}) ON CONFLICT DO NOTHING`;
}

function columnsOf({ columns, rows }: SqlInsert): ColumnValue[][] {
  return columns.map((_, at) => rows.map(row => encodeValue(row[at] ?? null)));
}
