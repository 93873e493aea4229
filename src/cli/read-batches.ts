import { isObject } from '../core/event.ts';
import { readChunks, splitLines } from './read-lines.ts';
import type { OutgoingBatch } from './send-batches.ts';

// Larger files are taken for JSON lines unseen: one document of that size would be refused anyway.
const DOCUMENT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * The batches of a file ("-" is standard input): the whole file where it is one JSON document, else one a
 * line. What cannot be parsed is a batch too: the server says what is wrong with it. Throws
 * ERR_FILE_UNREADABLE.
 */
export async function* readBatches(path: string): AsyncGenerator<OutgoingBatch> {
  const chunks = readChunks(path);
  const head: Buffer[] = [];
  let headBytes = 0;
  let ended = false;
  while (!ended && headBytes <= DOCUMENT_BYTES_MAX) {
    const next = await chunks.next();
    ended = next.done === true;
    if (next.done === true) break;
    head.push(next.value);
    headBytes += next.value.length;
  }
  if (ended) {
    const bytes = Buffer.concat(head);
    const document = parse(bytes);
    if (document !== undefined) {
      yield { file: path, line: 1, bytes, events: countEvents(document) };
      return;
    }
  }
  for await (const { line, bytes } of splitLines(join(head, chunks), path)) {
    yield { file: path, line, bytes, events: countEvents(parse(bytes)) };
  }
}

async function* join(head: readonly Buffer[], rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* head;
  yield* rest;
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function countEvents(document: unknown): number {
  const events = isObject(document) ? document['events'] : undefined;
  return Array.isArray(events) ? events.length : 0;
}
