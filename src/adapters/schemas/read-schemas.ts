import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../../core/event.ts';

const FILES_MAX = 1000;
const FILE_BYTES_MAX = 1_048_576;
/** Deepest nesting and most nodes of a schema with its references put in; a cycle of references ends here. */
const DEPTH_MAX = 64;
const NODES_MAX = 50_000;

/** Keywords whose values are data, not schemas. */
const DATA_KEYWORDS: ReadonlySet<string> = new Set(['enum', 'default', 'required']);

/** Keywords that only serve references: they are gone once these are put in. */
const REFERENCE_KEYWORDS: ReadonlySet<string> = new Set(['$schema', 'id', 'definitions']);

/**
 * Reads every JSON Schema of a folder and puts what it refers to in its place. References are by file name within
 * the folder, whatever comes before it (`http://localhost:7070/schemas/3.0/common.json` is `common.json`), with an
 * optional `#/pointer`; nothing is fetched.
 * @param onText  told of each file's text, in the order of their names
 * @returns schemas by file name without `.json`
 * @throws MillraceError ERR_SCHEMA_INVALID names the file and what is wrong with it
 */
export async function readSchemas(
  folder: string,
  onText: (file: string, text: string) => void = () => undefined,
): Promise<ReadonlyMap<string, JsonObject>> {
  const documents = await readDocuments(folder, onText);
  const schemas = new Map<string, JsonObject>();
  for (const [file, document] of documents) {
    const resolution: Resolution = { folder, file, documents, document, nodes: { left: NODES_MAX } };
    const schema = resolve(document, resolution, 0);
    if (!isObject(schema)) throw invalid(folder, file, 'it is not a JSON object');
    schemas.set(file.slice(0, -'.json'.length), schema);
  }
  return schemas;
}

async function readDocuments(
  folder: string,
  onText: (file: string, text: string) => void,
): Promise<ReadonlyMap<string, Json>> {
  const files = (await readdir(folder).catch(error => unreadable(folder, error)))
    .filter(file => file.endsWith('.json'))
    .sort();
  if (files.length > FILES_MAX) throw invalid(folder, '', `it holds more than ${FILES_MAX} schemas`);
  const documents = new Map<string, Json>();
  for (const file of files) {
    const text = await readFile(join(folder, file), 'utf8').catch(error =>
      unreadable(join(folder, file), error),
    );
    onText(file, text);
    if (text.length > FILE_BYTES_MAX) throw invalid(folder, file, `it is longer than ${FILE_BYTES_MAX}`);
    try {
      documents.set(file, JSON.parse(text) as Json);
    } catch (cause) {
      throw invalid(folder, file, 'it is not JSON', cause);
    }
  }
  return documents;
}

/** What the walk over one schema needs; `document` is the file that the walk is in. */
interface Resolution {
  readonly folder: string;
  readonly file: string;
  readonly documents: ReadonlyMap<string, Json>;
  readonly document: Json;
  readonly nodes: { left: number };
}

function resolve(node: Json, resolution: Resolution, depth: number): Json {
  const { folder, file, nodes } = resolution;
  nodes.left -= 1;
  if (depth > DEPTH_MAX || nodes.left < 0) {
    throw invalid(folder, file, 'its references go in a circle, or it is too large');
  }
  if (Array.isArray(node)) return node.map(element => resolve(element, resolution, depth + 1));
  if (!isObject(node)) return node;
  const reference = node['$ref'];
  if (typeof reference === 'string') return resolveReference(reference, resolution, depth);
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

function resolveReference(reference: string, resolution: Resolution, depth: number): Json {
  const { folder, file, documents } = resolution;
  const [path = '', pointer = ''] = reference.split('#', 2);
  const name = path.slice(path.lastIndexOf('/') + 1);
  const document = name === '' ? resolution.document : documents.get(name);
  const target = document === undefined ? undefined : at(document, pointer);
  if (target === undefined) throw invalid(folder, file, `it refers to ${reference}, which is not there`);
  return resolve(target, { ...resolution, document: document ?? null }, depth + 1);
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

function invalid(folder: string, file: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_SCHEMA_INVALID', `${join(folder, file)}: ${why}`, { cause });
}

function unreadable(path: string, cause: unknown): never {
  throw new MillraceError('ERR_FILE_UNREADABLE', path, { cause });
}
