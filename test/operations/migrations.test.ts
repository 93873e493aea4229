import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { migrationNames } from '../../src/adapters/tables/migrate.ts';
import { openSqliteDatabase } from '../../src/adapters/tables/sqlite-database.ts';
import { SCHEMA_CONTRACT } from '../sinks/schema-contract.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-migrations-'));
after(() => rmSync(directory, { recursive: true, force: true }));

describe('schema changes in sqlite', () => {
  for (const [index, [claim, check]] of Object.entries(SCHEMA_CONTRACT).entries()) {
    const file = join(directory, `${index}.sqlite`);
    it(claim, () => check(() => openSqliteDatabase(file, { isReadOnly: false })));
  }

  // In threads, since a connection that waits for another holds its thread up.
  it('who starts at once with others makes each change once', async () => {
    const file = join(directory, 'shared.sqlite');
    const modules = new URL('../../src/adapters/tables/', import.meta.url).href;
    const code = `
      Promise.all(['sqlite-database', 'migrate'].map(name => import('${modules}' + name + '.ts')))
        .then(async ([{ openSqliteDatabase }, { applyMigrations }]) => {
          const database = openSqliteDatabase(${JSON.stringify(file)}, { isReadOnly: false });
          await applyMigrations(database, 1);
          await database.close();
        });`;
    const ended = Array.from({ length: 4 }, () => {
      const worker = new Worker(code, { eval: true });
      return new Promise((resolve, reject) => worker.on('error', reject).on('exit', resolve));
    });
    assert.deepEqual(await Promise.all(ended), [0, 0, 0, 0]);
    const database = openSqliteDatabase(file, { isReadOnly: true });
    const rows = await database.all('SELECT name FROM migrations ORDER BY number', []);
    assert.deepEqual(
      rows.map(({ name }) => name),
      migrationNames(),
    );
    await database.close();
  });
});
