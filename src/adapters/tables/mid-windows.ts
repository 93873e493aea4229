import { RELATIONS } from '../../core/relations.ts';
import type { SchemaSession, SqlSchemaOwner } from './sql-database.ts';

/**
 * Offsets of a window, as a power of two. A row changes one of the pages of the windows that are being written, and a
 * look-up by mid goes through all windows: docs/decisions/0021-mids-by-window.md has both by size.
 */
const WINDOW_BITS = 13;
/** In a file that an earlier version made the index of so many rows is made anew, within a second or two. */
const REMADE_ROWS_MAX = 100_000;
/**
 * What SQLite is told of the index: rows, rows of one window, rows of one mid. It goes through windows for a mid only
 * where it knows that there are few; the rows are what it takes a table for that it knows nothing of.
 */
const STATISTICS = `1048576 ${2 ** WINDOW_BITS} 1`;

/**
 * Has SQLite keep the mids of each relation by window of offsets: mids have no order, so in one index of them all each
 * row changes a page of its own, 16 KB written for 30 bytes, and the more there are the dearer. What asks for
 * a mid is written as before. A larger file of an earlier version keeps the index that it has.
 */
export async function keepMidsByWindow(database: SqlSchemaOwner): Promise<void> {
  await database.alone(async session => {
    const due: string[] = [];
    for (const relation of Object.keys(RELATIONS)) if (await isDue(session, relation)) due.push(relation);
    if (due.length === 0) return;
    // Makes the table of statistics; those of any other index are SQLite's own.
    await session.run('ANALYZE sqlite_schema');
    for (const relation of due) await remake(session, relation);
    await session.run('ANALYZE sqlite_schema');
  });
}

async function isDue(session: SchemaSession, relation: string): Promise<boolean> {
  const [index] = await session.all('SELECT sql FROM sqlite_schema WHERE name = ?', [`${relation}_mid`]);
  if (index === undefined || String(index['sql']).includes('>>')) return false;
  const [last] = await session.all(`SELECT coalesce(max(rowid), 0) AS row FROM ${relation}`, []);
  return Number(last?.['row']) <= REMADE_ROWS_MAX;
}

async function remake(session: SchemaSession, relation: string): Promise<void> {
  const index = `${relation}_mid`;
  await session.run(`
    DROP INDEX ${index};
    CREATE INDEX ${index} ON ${relation} ("offset" >> ${WINDOW_BITS}, mid);
    DELETE FROM sqlite_stat1 WHERE idx = '${index}';
    INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('${relation}', '${index}', '${STATISTICS}')`);
}
