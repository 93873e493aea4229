import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyMigrations } from '../../src/adapters/tables/migrate.ts';
import type { SqlDatabase, SqlSchemaOwner } from '../../src/adapters/tables/sql-database.ts';
import { MillraceError } from '../../src/core/errors.ts';

/** Opens an empty database. */
type OpenSchema = () => SqlDatabase & SqlSchemaOwner;

/** What schema changes promise, whatever database they are made in. */
export const SCHEMA_CONTRACT: Readonly<Record<string, (open: OpenSchema) => Promise<void>>> = {
  'a change that fails halfway is undone, names the statement, and begins there again': open =>
    withChanges(async directory => {
      const database = open();
      writeFileSync(join(directory, '0001-one.sql'), 'CREATE TABLE one (a TEXT);\n');
      const broken = '-- Two; with a remark.\nCREATE TABLE two (a TEXT);\nCREATE TABLE\n  one (b TEXT);\n';
      writeFileSync(join(directory, '0002-two.sql'), broken);
      await assert.rejects(applyMigrations(database, 1, { directory }), (error: unknown) => {
        assert.ok(error instanceof MillraceError);
        const where =
          /^0002-two\.sql: .*already exists.*at the statement:\nCREATE TABLE\n {2}one \(b TEXT\);$/s;
        assert.match(error.why, where);
        return true;
      });
      assert.deepEqual(await namesIn(database), ['0001-one.sql']);
      await assert.rejects(database.all('SELECT * FROM two', []), 'nothing of the failed change stays');
      writeFileSync(join(directory, '0002-two.sql'), broken.replace('one (b', 'three (b'));
      await applyMigrations(database, 2, { directory });
      assert.deepEqual(await namesIn(database), ['0001-one.sql', '0002-two.sql']);
      assert.deepEqual(await database.all('SELECT * FROM three', []), []);
      await database.close();
    }),

  'a change that was edited after it was applied is refused; so is one of a later version': open =>
    withChanges(async directory => {
      const database = open();
      const file = join(directory, '0001-one.sql');
      writeFileSync(file, 'CREATE TABLE one (a TEXT);\n');
      await applyMigrations(database, 1, { directory });
      await applyMigrations(database, 2, { directory });
      writeFileSync(file, 'CREATE TABLE one (a TEXT);\r\n');
      await applyMigrations(database, 2, { directory });
      writeFileSync(file, 'CREATE TABLE one (b TEXT);\n');
      writeFileSync(join(directory, '0002-two.sql'), 'CREATE TABLE two (a TEXT);\n');
      const refused = { code: 'ERR_DATA_FORMAT', why: /0001-one\.sql/ };
      await assert.rejects(applyMigrations(database, 3, { directory }), refused);
      assert.deepEqual(await namesIn(database), ['0001-one.sql']);
      writeFileSync(file, 'CREATE TABLE one (a TEXT);\n');
      await applyMigrations(database, 4, { directory });
      rmSync(join(directory, '0002-two.sql'));
      await assert.rejects(applyMigrations(database, 5, { directory }), { code: 'ERR_DATA_FORMAT' });
      await database.close();
    }),

  'a ledger from before the digests is given them': open =>
    withChanges(async directory => {
      const database = open();
      const file = join(directory, '0001-one.sql');
      writeFileSync(file, 'CREATE TABLE one (a TEXT);\n');
      await applyMigrations(database, 1, { directory });
      await database.alone(session => session.run('DROP TABLE migration_digests'));
      await applyMigrations(database, 2, { directory });
      writeFileSync(file, 'CREATE TABLE one (b TEXT);\n');
      await assert.rejects(applyMigrations(database, 3, { directory }), { code: 'ERR_DATA_FORMAT' });
      await database.close();
    }),
};

async function namesIn(database: SqlDatabase): Promise<readonly unknown[]> {
  return (await database.all('SELECT name FROM migrations ORDER BY number', [])).map(({ name }) => name);
}

async function withChanges(call: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-migrations-'));
  try {
    await call(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
