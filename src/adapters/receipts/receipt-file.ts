import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../config/put-file.ts';
import { isObject, parseJsonObject } from '../../core/event.ts';
import type { ReceiptEntry, ReceiptLog } from '../../core/receipts.ts';
import { storeError } from '../../core/store-error.ts';
import { failpoint } from '../../observability/failpoint.ts';

/** A line of the file: the entry, and the SHA-256 of the line before it (empty for the first). */
interface Line {
  readonly previous: string;
  readonly entry: ReceiptEntry;
}

/**
 * Keeps receipts as JSON lines, mode 0600, each with the digest of the line before it: an entry that somebody
 * changed or took out is one that the next does not fit. A line that a crash cut off was never a receipt; it is
 * passed over by readers and cut away by the next append.
 */
export function openReceiptFile(file: string): ReceiptLog {
  // Operations of a level end at the same time: each receipt follows the one before it.
  let appended: Promise<void> = Promise.resolve();
  return {
    async read() {
      const { lines } = await readLines(file);
      let previous = '';
      let intact = true;
      const entries: ReceiptEntry[] = [];
      for (const text of lines) {
        const line = parseLine(text);
        if (line?.previous !== previous) intact = false;
        if (line !== undefined) entries.push(line.entry);
        previous = digestOf(text);
      }
      return { entries, intact };
    },
    append(entry) {
      const own = appended.then(() => appendEntry(file, entry));
      appended = own.catch(() => undefined);
      return own;
    },
  };
}

async function appendEntry(file: string, entry: ReceiptEntry): Promise<void> {
  const { lines, wholeBytes } = await readLines(file);
  const last = lines.at(-1);
  const line: Line = { previous: last === undefined ? '' : digestOf(last), entry };
  await appendAt(file, wholeBytes, `${JSON.stringify(line)}\n`);
}

async function readLines(file: string): Promise<{ lines: readonly string[]; wholeBytes: number }> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      return { lines: [], wholeBytes: 0 };
    }
    throw storeError(error, `receipts ${file}`);
  }
  const wholeBytes = bytes.lastIndexOf(0x0a) + 1;
  const text = bytes.subarray(0, wholeBytes).toString('utf8');
  return { lines: text === '' ? [] : text.slice(0, -1).split('\n'), wholeBytes };
}

async function appendAt(file: string, wholeBytes: number, text: string): Promise<void> {
  try {
    await using handle = await open(file, 'a', 0o600);
    await handle.truncate(wholeBytes);
    const bytes = Buffer.from(text);
    // In two writes, so that a test can die between them.
    const half = Math.floor(bytes.length / 2);
    await handle.appendFile(bytes.subarray(0, half));
    failpoint('receipts.half');
    await handle.appendFile(bytes.subarray(half));
    await handle.sync();
  } catch (error) {
    throw storeError(error, `receipts ${file}`);
  }
  await syncFolder(dirname(file));
}

/** Undefined where it is no line of ours: an entry that somebody damaged is not read as one. */
function parseLine(text: string): Line | undefined {
  const line = parseJsonObject(text);
  const entry = line?.['entry'];
  const isOurs = isObject(entry) && (entry['kind'] === 'receipt' || entry['kind'] === 'run');
  return isOurs ? (line as unknown as Line) : undefined;
}

function digestOf(line: string): string {
  return createHash('sha256').update(line).digest('hex');
}
