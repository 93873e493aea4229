import { assert } from '../../core/errors.ts';
import { type JsonObject, textAt } from '../../core/event.ts';
import type { NewRecord, ValueText } from '../../core/record.ts';
import { BYTE, endOfText } from './json-bytes.ts';
import type { Batch } from './parse-batch.ts';

/** What the server adds to a batch. */
export interface Stamp {
  /** Headers x-device-id, x-channel-id and x-app-id; empty ones count as absent. */
  readonly did: string | undefined;
  readonly channel: string | undefined;
  readonly pid: string | undefined;
  /** Server clock, epoch ms UTC. */
  readonly nowMs: number;
  /** Written where the batch names no dataset. */
  readonly dataset: string;
  /** Id of a batch that has none. */
  newMid(): string;
}

/** The record of a batch. Its value is in two pieces, the first of them where the body lies: the log copies it once. */
export interface StampedRecord extends Omit<NewRecord, 'value'> {
  readonly value: ValueText;
}

/** Bytes of the value as stored. */
export function valueBytes({ from, to, tail }: ValueText): number {
  return to - from + (typeof tail === 'string' ? Buffer.byteLength(tail) : tail.byteLength);
}

/**
 * The record of a batch: the client's own bytes with the stamp's members spliced in before the closing brace,
 * on one line. Numbers and texts stay byte for byte as sent (1e400 would else become null); a top-level member
 * that the stamp replaces is cut out of the bytes, so that no key of the stamp's stands there twice. The
 * client's `id` stays: the original's newest release overwrites it, which breaks readers of it.
 *
 * A `mid` or `dataset` that is not a non-empty text counts as absent. The key is the device header, else
 * `params.did`, else the batch's mid. Line breaks of the batch's text become spaces where they are.
 */
export function stampBatch(batch: Batch, stamp: Stamp): StampedRecord {
  const mid = textAt(batch.value, 'mid') ?? stamp.newMid();
  const wanted: JsonObject = {
    did: stamp.did || undefined,
    channel: stamp.channel || undefined,
    pid: stamp.pid || undefined,
    mid,
    syncts: stamp.nowMs,
    dataset: textAt(batch.value, 'dataset') ?? stamp.dataset,
  };
  return {
    key: stamp.did || textAt(batch.value, 'params', 'did') || mid,
    timeMs: stamp.nowMs,
    headers: {},
    value: withMembers({ ...batch, text: toOneLine(batch.text) }, wanted),
  };
}

/**
 * The object's text with members set; undefined ones are left alone, as are those that have the value already.
 * @param batch   text and value of the same JSON object, which has at least one member not in `wanted`
 * @param wanted  scalar values
 * @returns       the text of the batch but for its end, then the members and that end
 */
function withMembers(batch: Pick<Batch, 'text' | 'value'>, wanted: JsonObject): ValueText {
  const replaced = new Set<string>();
  let added = '';
  for (const [name, value] of Object.entries(wanted)) {
    const isPresent = Object.hasOwn(batch.value, name);
    if (value === undefined || (isPresent && batch.value[name] === value)) continue;
    if (isPresent) replaced.add(name);
    added += `,${JSON.stringify(name)}:${JSON.stringify(value)}`;
  }
  const text = replaced.size === 0 ? batch.text : cutMembers(batch.text, replaced);
  // The text is one JSON object, so its last brace is the one that closes it.
  const closeAt = text.lastIndexOf(BYTE.closeObject);
  return { head: text, from: 0, to: closeAt, tail: added + text.toString('latin1', closeAt) };
}

/** Removes every top-level member of the names, with its comma; at least one member must remain. */
function cutMembers(text: Buffer, names: ReadonlySet<string>): Buffer {
  const kept: { from: number; to: number }[] = [];
  for (const member of membersOf(text)) {
    if (names.has(member.name)) continue;
    const last = kept.at(-1);
    if (last !== undefined && last.to + 1 === member.from) last.to = member.to;
    else kept.push({ from: member.from, to: member.to });
  }
  assert(kept.length > 0, 'a batch keeps its events');
  const pieces: Uint8Array[] = [text.subarray(0, text.indexOf(BYTE.openObject) + 1)];
  kept.forEach((run, index) => {
    if (index > 0) pieces.push(Buffer.from(','));
    pieces.push(text.subarray(run.from, run.to));
  });
  pieces.push(text.subarray(text.lastIndexOf(BYTE.closeObject)));
  return Buffer.concat(pieces);
}

/** Top-level members of an object's valid JSON text, in order: `[from, to)` lies between its delimiters. */
function* membersOf(text: Buffer): Generator<{ name: string; from: number; to: number }> {
  let depth = 0;
  let from = 0;
  let name = '';
  for (let at = 0; at < text.length; at++) {
    const byte = text[at];
    if (byte === BYTE.quote) {
      at = endOfText(text, at);
    } else if (byte === BYTE.openObject || byte === BYTE.openArray) {
      if (++depth === 1) from = at + 1;
    } else if (byte === BYTE.colon && depth === 1) {
      name = JSON.parse(text.toString('utf8', from, at));
    } else if (
      (byte === BYTE.comma && depth === 1) ||
      byte === BYTE.closeObject ||
      byte === BYTE.closeArray
    ) {
      const isEnd = byte !== BYTE.comma && --depth === 0;
      if (byte === BYTE.comma || isEnd) {
        yield { name, from, to: at };
        from = at + 1;
      }
    }
  }
}

/** Line breaks of valid JSON all lie between its tokens: as spaces they leave one record one line. In place. */
function toOneLine(text: Buffer): Buffer {
  for (const lineBreak of [0x0a, 0x0d]) {
    for (let at = text.indexOf(lineBreak); at !== -1; at = text.indexOf(lineBreak, at + 1)) text[at] = 0x20;
  }
  return text;
}
