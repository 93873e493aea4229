import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SchemaFile } from '../../config/schema-digest.ts';
import { MillraceError } from '../../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../../core/event.ts';

const FILES_MAX = 1000;
/** Longest text of one schema. */
export const SCHEMA_BYTES_MAX = 1_048_576;
/** Deepest nesting and most nodes of a schema with its references put in; a cycle of references ends here. */
const DEPTH_MAX = 64;
const NODES_MAX = 50_000;

/** Keywords whose values are data, not schemas. */
const DATA_KEYWORDS: ReadonlySet<string> = new Set(['enum', 'default', 'required']);

/** Keywords that only serve references: they are gone once these are put in. */
const REFERENCE_KEYWORDS: ReadonlySet<string> = new Set(['$schema', 'id', 'definitions']);

/** The JSON documents of a folder by file name. */
export type Documents = ReadonlyMap<string, Json>;

/** A folder of schemas as it was read. */
export interface SchemaFolder {
  readonly documents: Documents;
  /** Names and digests of the files, by name. */
  readonly files: readonly SchemaFile[];
}

/** The documents with what they refer to in its place, by file name without `.json`; see {@link resolveSchema}. */
export function resolveDocuments(folder: string, documents: Documents): ReadonlyMap<string, JsonObject> {
  const schemas = new Map<string, JsonObject>();
  for (const [file, document] of documents) {
    const name = join(folder, file);
    schemas.set(file.slice(0, -'.json'.length), resolveSchema(document, { name, documents }));
  }
  return schemas;
}

/** Reads the JSON documents of a folder. Throws ERR_SCHEMA_INVALID, ERR_FILE_UNREADABLE. */
export async function readDocuments(folder: string): Promise<SchemaFolder> {
  const names = (await readdir(folder).catch(error => unreadable(folder, error)))
    .filter(name => name.endsWith('.json'))
    .sort();
  if (names.length > FILES_MAX) throw invalid(folder, `it holds more than ${FILES_MAX} schemas`);
  const documents = new Map<string, Json>();
  const files: SchemaFile[] = [];
  for (const path of names) {
    const place = join(folder, path);
    const text = await readFile(place, 'utf8').catch(error => unreadable(place, error));
    documents.set(path, parseSchema(text, place));
    files.push({ path, sha256: createHash('sha256').update(text).digest('hex') });
  }
  return { documents, files };
}

/** A schema from its text; `name` is what errors call it. Throws ERR_SCHEMA_INVALID. */
export function parseSchema(text: string, name: string): Json {
  if (text.length > SCHEMA_BYTES_MAX) throw invalid(name, `it is longer than ${SCHEMA_BYTES_MAX}`);
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw invalid(name, 'it is not JSON', cause);
  }
}

/** Where a schema stands: what errors call it, and the documents that it may refer to by file name. */
export interface SchemaScope {
  readonly name: string;
  readonly documents: Documents;
}

/**
 * Puts what a schema refers to in its place. References are by file name among the documents, whatever comes before
 * it (`http://localhost:7070/schemas/3.0/common.json` is `common.json`), with an optional `#/pointer`; nothing is
 * fetched. Throws ERR_SCHEMA_INVALID.
 */
export function resolveSchema(document: Json, scope: SchemaScope): JsonObject {
  const schema = resolve(document, { ...scope, document, nodes: { left: NODES_MAX } }, 0);
  if (!isObject(schema)) throw invalid(scope.name, 'it is not a JSON object');
  return schema;
}

/** What a reference in a document leads to, with the document it is in; undefined where it leads nowhere. */
export function findReference(
  reference: string,
  document: Json,
  documents: Documents,
): { readonly target: Json; readonly document: Json } | undefined {
  const [path = '', pointer = ''] = reference.split('#', 2);
  const name = path.slice(path.lastIndexOf('/') + 1);
  const within = name === '' ? document : documents.get(name);
  const target = within === undefined ? undefined : at(within, pointer);
  return within === undefined || target === undefined ? undefined : { target, document: within };
}

/** What the walk over one schema needs; `document` is the one that the walk is in. */
interface Resolution extends SchemaScope {
  readonly document: Json;
  readonly nodes: { left: number };
}

function resolve(node: Json, resolution: Resolution, depth: number): Json {
  const { name, nodes } = resolution;
  nodes.left -= 1;
  if (depth > DEPTH_MAX || nodes.left < 0) {
    throw invalid(name, 'its references go in a circle, or it is too large');
  }
  if (Array.isArray(node)) return node.map(element => resolve(element, resolution, depth + 1));
  if (!isObject(node)) return node;
  const reference = node['$ref'];
  if (typeof reference === 'string') {
    const found = findReference(reference, resolution.document, resolution.documents);
    if (found === undefined) throw invalid(name, `it refers to ${reference}, which is not there`);
    return resolve(found.target, { ...resolution, document: found.document }, depth + 1);
  }
  const entries = Object.entries(node).flatMap(([key, value]): [string, Json][] => {
    // A property may be named like a keyword; its schema is an object then, the keyword's value of `id` is a text.
    if (value === undefined || isReferenceKeyword(key, value)) return [];
    return [
      [key, DATA_KEYWORDS.has(key) && !isObject(value) ? value : resolve(value, resolution, depth + 1)],
    ];
  });
  return Object.fromEntries(entries);
}

function isReferenceKeyword(key: string, value: Json): boolean {
  return REFERENCE_KEYWORDS.has(key) && (key === 'definitions' || typeof value === 'string');
}

/** Follows a JSON pointer through objects. */
function at(document: Json, pointer: string): Json | undefined {
  let node: Json | undefined = document;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!isObject(node) || !Object.hasOwn(node, key)) return undefined;
    node = node[key];
  }
  return node;
}

function invalid(name: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_SCHEMA_INVALID', `${name}: ${why}`, { cause });
}

function unreadable(path: string, cause: unknown): never {
  throw new MillraceError('ERR_FILE_UNREADABLE', path, { cause });
}
