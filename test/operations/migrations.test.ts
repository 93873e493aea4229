import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { applyMigrations } from '../../src/adapters/tables/migrate.ts';
import { openSqliteDatabase } from '../../src/adapters/tables/sqlite-database.ts';
import { MillraceError } from '../../src/core/errors.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-migrations-'));
after(() => rmSync(directory, { recursive: true, force: true }));

describe('migrations', () => {
  it('4: one that fails halfway leaves the version, names the statement, and begins there again', async () => {
    writeFileSync(join(directory, '0001-one.sql'), 'CREATE TABLE one (a TEXT);\n');
    const broken = '-- Two; with a remark.\nCREATE TABLE two (a TEXT);\nCREATE TABLE\n  one (b TEXT);\n';
    writeFileSync(join(directory, '0002-two.sql'), broken);
    const database = openSqliteDatabase(join(directory, 'tables.sqlite'), { isReadOnly: false });
    const names = async () =>
      (await database.all('SELECT name FROM migrations ORDER BY number', [])).map(row => row['name']);
    await assert.rejects(applyMigrations(database, 1, { directory }), (error: unknown) => {
      assert.ok(error instanceof MillraceError);
      assert.match(
        error.why,
        /^0002-two\.sql: .*already exists.*at the statement:\nCREATE TABLE\n {2}one \(b TEXT\);$/s,
      );
      return true;
    });
    assert.deepEqual(await names(), ['0001-one.sql']);
    const tables = await database.all("SELECT name FROM sqlite_master WHERE name = 'two'", []);
    assert.deepEqual(tables, [], 'nothing of the failed change stays');
    writeFileSync(join(directory, '0002-two.sql'), broken.replace('one (b', 'three (b'));
    await applyMigrations(database, 2, { directory });
    assert.deepEqual(await names(), ['0001-one.sql', '0002-two.sql']);
    await database.close();
  });
});
