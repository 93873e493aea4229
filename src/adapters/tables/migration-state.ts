import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { storeError } from '../../core/store-error.ts';
import { migrationNames } from './migrate.ts';

/** Past this the file is opened where it lies rather than copied. */
const COPY_BYTES_MAX = 256 * 1024 * 1024;

/**
 * The schema changes that a file of tables has, and those there are, without leaving a trace: opened as usual,
 * SQLite would write beside a file that is only read. What has not reached the file itself yet lies in its
 * write-ahead file; only where the ledger seems to lack something are both looked at, as a copy.
 */
export async function readMigrations(
  file: string,
): Promise<{ readonly applied: readonly string[]; readonly known: readonly string[] }> {
  const known = migrationNames();
  if (!existsSync(file)) return { applied: [], known };
  const asFile = readImmutable(file);
  if (asFile !== undefined && asFile.length >= known.length) return { applied: asFile, known };
  if (!existsSync(`${file}-wal`)) return { applied: asFile ?? readLedger(file), known };
  return { applied: await readCopy(file), known };
}

/** Where SQLite reads a file without writing beside it; what its write-ahead file holds is not seen. */
export function immutable(file: string): URL {
  const url = pathToFileURL(file);
  url.searchParams.set('immutable', '1');
  return url;
}

/** Undefined where the file cannot be read by itself: somebody writes to it right now. */
function readImmutable(file: string): readonly string[] | undefined {
  try {
    return readLedger(immutable(file));
  } catch {
    return undefined;
  }
}

async function readCopy(file: string): Promise<readonly string[]> {
  if ((await stat(file)).size > COPY_BYTES_MAX) return readLedger(file);
  const folder = await mkdtemp(join(tmpdir(), 'millrace-ledger-'));
  try {
    const copy = join(folder, 'tables.sqlite');
    // Both files of one moment, or nearly: a half-written end of the second is not read.
    await copyFile(file, copy);
    await copyFile(`${file}-wal`, `${copy}-wal`);
    return readLedger(copy);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function readLedger(place: string | URL): readonly string[] {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(place, { readOnly: typeof place !== 'string', timeout: 5_000 });
    const ledger = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").get();
    if (ledger === undefined) return [];
    const rows = database.prepare('SELECT name FROM migrations ORDER BY number').all();
    return rows.map(row => String(row['name']));
  } catch (error) {
    throw storeError(error, `tables ${String(place)}`);
  } finally {
    database?.close();
  }
}
