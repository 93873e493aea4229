import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { openSqliteDatabase } from '../../src/adapters/tables/sqlite-database.ts';
import { atEnd, scratch } from './setting.ts';

const MIB = 1024 * 1024;
const ROW_BYTES = 256 * 1024;
const ROWS = 32;
/** The bound of the write-ahead log, and the transaction that passes it. */
const LOG_BYTES_MAX = 128 * MIB + 2 * ROWS * ROW_BYTES;

test('pages go into the file beside transactions, and the log stays within its bound', async t => {
  const file = path.join(scratch(t), 'tables.sqlite');
  const database = openSqliteDatabase(file, { isReadOnly: false });
  await database.alone(session => session.run('CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT)'));
  let stored = 0;
  const store = () => {
    const rows = Array.from({ length: ROWS }, () => [stored++, 'x'.repeat(ROW_BYTES)] as const);
    return database.insert([{ table: 'texts', columns: ['id', 'text'], rows }]);
  };
  const logBytes = (): number => statSync(`${file}-wal`).size;

  // Three times the bound: without checkpoints the log would be as long.
  for (let bytes = 0; bytes < 3 * 128 * MIB; bytes += ROWS * ROW_BYTES) {
    await store();
    assert.ok(logBytes() <= LOG_BYTES_MAX, `${logBytes()} bytes of log`);
  }
  assert.ok(statSync(file).size >= 128 * MIB, 'most pages are in the file while it is open');

  // A query that began before keeps the log from beginning anew; transactions go on all the same.
  const reader = new DatabaseSync(file, { readOnly: true });
  atEnd(t, () => reader.close());
  const count = reader.prepare('SELECT count(*) AS rows FROM texts');
  reader.exec('BEGIN');
  assert.equal(count.get()?.['rows'], stored);
  const seen = stored;
  for (let bytes = 0; bytes < 2 * 128 * MIB; bytes += ROWS * ROW_BYTES) await store();
  assert.ok(logBytes() > LOG_BYTES_MAX);
  assert.equal(count.get()?.['rows'], seen);
  reader.exec('COMMIT');
  await store();
  await store();
  assert.ok(logBytes() <= LOG_BYTES_MAX, `${logBytes()} bytes of log after the query`);

  await database.close();
  assert.equal(count.get()?.['rows'], stored);
  assert.deepEqual(
    reader
      .prepare('PRAGMA integrity_check')
      .all()
      .map(row => ({ ...row })),
    [{ integrity_check: 'ok' }],
  );
});
