/** A place in the log: `offset` counts records of one partition of one topic, from 0. */
export interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * Where an input event came from: the record of the chain's input topic and the event's index in it.
 * Stable under replay, so ids and rows derived from it are too.
 */
export interface Source extends Position {
  readonly index: number;
}

/** Short texts beside a record's value; names are lower camel case, see `core/headers.ts`. */
export type Headers = Readonly<Record<string, string>>;

/** A record on its way into the log. `timeMs` is the time archives and TTLs go by, epoch ms UTC. */
export interface NewRecord {
  readonly key: string | null;
  readonly timeMs: number;
  readonly headers: Headers;
  /** UTF-8 JSON on every topic but for what was produced malformed into an input topic. */
  readonly value: Uint8Array;
}

/** A value in two pieces: the bytes of `head` from `from` to before `to`, then `tail`, a text in UTF-8 or bytes. */
export interface ValueText {
  readonly head: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly tail: string | Uint8Array;
}

/** A record read from the log. The value's memory belongs to the reader, unless it asked to have it lent. */
export interface LogRecord extends NewRecord, Position {}

/** `topic:partition:offset:index`; topic names hold no colon. */
export function formatSource(source: Source): string {
  return `${source.topic}:${source.partition}:${source.offset}:${source.index}`;
}

/** Reads what {@link formatSource} wrote; undefined where the text is something else. */
export function parseSource(text: string | undefined): Source | undefined {
  const match = text === undefined ? null : /^([^:]+):(\d+):(\d+):(\d+)$/.exec(text);
  if (match === null) return undefined;
  return {
    topic: match[1]!,
    partition: Number(match[2]),
    offset: Number(match[3]),
    index: Number(match[4]),
  };
}
