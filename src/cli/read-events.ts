import { MillraceError } from '../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../core/event.ts';
import { dropNulls } from '../core/nulls.ts';
import { readLines } from './read-lines.ts';

/** An event of a file: its line from 1, and its place in the batch where the line holds one. */
export interface FileEvent {
  readonly line: number;
  readonly index: number | null;
  /** As `extract` hands it to the schemas: without the members that are null. */
  readonly event: JsonObject;
}

/**
 * The events of JSON lines, in order: a line holds an event, or a batch with its `events`. "-" is standard input.
 * Throws ERR_FILE_UNREADABLE; ERR_RECORD_UNREADABLE names the line that is neither.
 */
export async function* readEvents(file: string): AsyncGenerator<FileEvent> {
  for await (const { line, bytes } of readLines(file)) {
    const place = `${file}:${line}`;
    const document = parse(bytes, place);
    const events = document['events'];
    if (!Array.isArray(events)) {
      yield { line, index: null, event: dropNulls(document) };
      continue;
    }
    for (const [index, event] of (events as readonly Json[]).entries()) {
      if (!isObject(event)) throw unreadable(`${place}: element ${index} of its events is not a JSON object`);
      yield { line, index, event: dropNulls(event) };
    }
  }
}

function parse(bytes: Buffer, place: string): JsonObject {
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw unreadable(`${place} is not JSON`, cause);
  }
  if (!isObject(document)) throw unreadable(`${place} is not a JSON object`);
  return document;
}

function unreadable(why: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_RECORD_UNREADABLE', why, {
    cause,
    remedy: 'Write one event, or one batch with its events, a line.',
  });
}
