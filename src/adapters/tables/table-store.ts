import type { ArchiveIndex, TableStore } from '../../core/ports.ts';
import { RELATIONS, type RelationName, type TableRow } from '../../core/relations.ts';
import { failpoint } from '../../observability/failpoint.ts';
import { ENTRY_COLUMNS, entryOf, valuesOfEntry } from './archive-rows.ts';
import { shortenKeys } from './key-text.ts';
import type { SqlDatabase, SqlInsert } from './sql-database.ts';

/** The tables of an environment, opened for writing; there is one writer. */
export interface OpenTables extends TableStore, ArchiveIndex {
  close(): Promise<void>;
}

/** What the sinks write, over a database that has the schema; closing it closes the database. */
export function createTableStore(database: SqlDatabase): OpenTables {
  return {
    async insert(rows) {
      failpoint('tables.beforeTransaction');
      await database.insert(insertsOf(rows));
      failpoint('tables.afterTransaction');
    },
    expire: (receivedBeforeMs, rowsMax) =>
      database.change(EXPIRIES.map(sql => ({ sql, values: [receivedBeforeMs, rowsMax] }))),
    addEntries: entries =>
      database.insert([
        { table: 'archive_objects', columns: ENTRY_COLUMNS, rows: entries.map(valuesOfEntry) },
      ]),
    async findEntry(object) {
      const [row] = await database.all('SELECT * FROM archive_objects WHERE object = ?', [object]);
      return row === undefined ? undefined : entryOf(row);
    },
    close: () => database.close(),
  };
}

function insertsOf(rows: readonly TableRow[]): readonly SqlInsert[] {
  const byRelation = new Map<RelationName, TableRow['values'][]>();
  for (const { relation, values } of rows) {
    const known = byRelation.get(relation);
    if (known === undefined) byRelation.set(relation, [shortenKeys(relation, values)]);
    else known.push(shortenKeys(relation, values));
  }
  return [...byRelation].map(([table, values]) => ({ table, columns: RELATIONS[table], rows: values }));
}

/** Oldest first, by the index on `received_at`: each chunk costs what it deletes. */
const EXPIRIES: readonly string[] = Object.entries(RELATIONS).map(([relation, columns]) => {
  const names: readonly string[] = columns;
  const key = `topic, partition, "offset"${names.includes('event_index') ? ', event_index' : ''}`;
  return `
    DELETE FROM ${relation} WHERE (${key}) IN (
      SELECT ${key} FROM ${relation} WHERE received_at < ? ORDER BY received_at LIMIT ?
    )`;
});
