import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { putFile } from '../../config/put-file.ts';
import { failpoint } from '../../observability/failpoint.ts';
import { DigestTable } from './digest-table.ts';

/** The marks up to a position of the log. */
export interface Snapshot {
  readonly position: number;
  readonly tables: readonly DigestTable[];
  /** Files that are known to hold a table whole; they need not be written again. */
  readonly files: ReadonlySet<string>;
}

interface TableEntry {
  readonly file: string;
  readonly baseMs: number;
  readonly latestMs: number;
  readonly count: number;
  readonly crc: number;
}

interface Manifest {
  readonly position: number;
  readonly tables: readonly TableEntry[];
}

const MANIFEST = 'manifest.json';

/**
 * Reads the last snapshot; an empty one where there is none. A damaged one counts as none, with a warning:
 * the log then gives back the marks it still holds.
 */
export async function loadSnapshot(
  directory: string,
  warn: (message: string, fields: Readonly<Record<string, unknown>>) => void,
): Promise<Snapshot> {
  try {
    const manifest = parseManifest(await readFile(join(directory, MANIFEST), 'utf8'));
    const tables: DigestTable[] = [];
    for (const entry of manifest.tables) tables.push(await loadTable(directory, entry));
    const files = new Set(manifest.tables.map(entry => entry.file));
    return { position: manifest.position, tables, files };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      warn('dedup snapshot damaged; marks are read from the log instead', {
        directory,
        error: String(error),
      });
    }
    return { position: 0, tables: [], files: new Set() };
  }
}

/**
 * Writes a snapshot whole: the tables first, then the manifest that names them, then what it replaced goes.
 * Resolves with the files that hold it.
 */
export async function saveSnapshot(directory: string, snapshot: Snapshot): Promise<ReadonlySet<string>> {
  const entries: TableEntry[] = [];
  for (const table of snapshot.tables) {
    const bytes = table.bytes();
    const crc = crc32(bytes);
    // Named by content: a table that no longer changes is written once.
    const file = `marks-${table.baseMs}-${table.count}-${crc.toString(16).padStart(8, '0')}.bin`;
    // A file of that name that this process neither wrote nor read may be the damaged one it fell back from.
    if (!snapshot.files.has(file)) await putFile(join(directory, file), bytes);
    entries.push({ file, baseMs: table.baseMs, latestMs: table.latestMs, count: table.count, crc });
  }
  failpoint('state.afterTables');
  const text = JSON.stringify({ position: snapshot.position, tables: entries } satisfies Manifest);
  await putFile(join(directory, MANIFEST), `${crc32(text).toString(16)} ${text}`);
  failpoint('state.afterManifest');
  const kept = new Set(entries.map(entry => entry.file));
  for (const file of await readdir(directory)) {
    if (/^\.?marks-.*\.bin(\.\d+)?(\.tmp)?$/.test(file) && !kept.has(file))
      await rm(join(directory, file), { force: true });
  }
  return kept;
}

function parseManifest(text: string): Manifest {
  const space = text.indexOf(' ');
  const body = text.slice(space + 1);
  if (crc32(body).toString(16) !== text.slice(0, space)) throw new Error('the manifest fails its checksum');
  return JSON.parse(body) as Manifest;
}

async function loadTable(directory: string, entry: TableEntry): Promise<DigestTable> {
  const bytes = await readFile(join(directory, entry.file));
  if (crc32(bytes) !== entry.crc) throw new Error(`${entry.file} fails its checksum`);
  // A file's bytes come in memory of their own; of a table of hundreds of megabytes there is no second one.
  const isAlone = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength;
  const slots = new Uint32Array(isAlone ? bytes.buffer : new Uint8Array(bytes).buffer);
  return DigestTable.from({ baseMs: entry.baseMs, latestMs: entry.latestMs, count: entry.count, slots });
}
