import type { ArchiveDocument, ArchiveObject } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import type { ArchiveIndex, ObjectInfo, ObjectStore } from '../../core/ports.ts';
import { fullTopic } from '../../core/topics.ts';
import { decompress } from './codec.ts';
import { sha256Of } from './cut.ts';
import { type ObjectName, parseObjectName } from './object-name.ts';

/** An object of the archive: what its name says and what the store says. */
export interface StoredObject extends ObjectInfo {
  readonly parsed: ObjectName;
}

/** Every object of the archive, or of one dataset in it, by name; what has another kind of name is left out. */
export async function* storedObjects(objects: ObjectStore, dataset?: string): AsyncIterable<StoredObject> {
  for await (const info of objects.list(dataset === undefined ? '' : `${dataset}/`)) {
    const parsed = parseObjectName(info.name);
    if (parsed !== undefined) yield { ...info, parsed };
  }
}

/** What lies in the store. Counts and digests come from the index, or from the object where it is not recorded. */
export async function listObjects(options: {
  readonly objects: ObjectStore;
  readonly index: ArchiveIndex;
  readonly environment: string;
}): Promise<ArchiveDocument> {
  const found: ArchiveObject[] = [];
  for await (const { name, sizeBytes, parsed } of storedObjects(options.objects)) {
    const { dataset, partition, fromOffset, toOffset, codec } = parsed;
    const entry = await options.index.findEntry(name);
    const content = entry ?? (await contentOf(codec, await options.objects.read(name)));
    found.push({
      object: name,
      topic: fullTopic(options.environment, dataset),
      partition,
      fromOffset,
      toOffset,
      records: content.records,
      sizeBytes,
      sha256: content.sha256,
    });
  }
  return { objects: found };
}

/** The text of an object; throws ERR_NOT_FOUND, and ERR_STORE_UNAVAILABLE for a damaged one. */
export async function readObject(objects: ObjectStore, name: string): Promise<Uint8Array> {
  const parsed = parseObjectName(name);
  if (parsed === undefined) throw new MillraceError('ERR_NOT_FOUND', `no object ${JSON.stringify(name)}`);
  const bytes = await objects.read(name);
  try {
    return await decompress(parsed.codec, bytes);
  } catch (cause) {
    throw new MillraceError('ERR_STORE_UNAVAILABLE', `${name} is damaged`, { cause });
  }
}

/** Lines of a text, each ended; undefined where the last one is not. */
export function countLines(text: Uint8Array): number | undefined {
  if (text.length === 0) return 0;
  if (text[text.length - 1] !== NEWLINE) return undefined;
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}

const NEWLINE = 10;

/** A damaged object has no line that could be counted on. */
async function contentOf(codec: ObjectName['codec'], bytes: Uint8Array) {
  const sha256 = sha256Of(bytes);
  try {
    return { sha256, records: countLines(await decompress(codec, bytes)) ?? 0 };
  } catch {
    return { sha256, records: 0 };
  }
}
