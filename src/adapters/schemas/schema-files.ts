import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { putFile, syncFolder } from '../../config/put-file.ts';
import { MillraceError } from '../../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../../core/event.ts';
import type { SchemaBreak } from '../../core/schema-documents.ts';
import type { OwnSchema } from './schema-set.ts';

const FORMAT_VERSION = 1;
const EIDS_MAX = 1000;
const VERSIONS_MAX = 10_000;

/** A version as its file holds it. */
export interface VersionFile extends OwnSchema {
  readonly addedAtMs: number;
  readonly breaks: readonly SchemaBreak[];
}

/** A set as it was published. */
export interface PublishedSet {
  readonly digest: string;
  readonly publishedAtMs: number;
  /** Version by eid of every schema that is the operator's. */
  readonly versions: Readonly<Record<string, number>>;
}

/** What `published.json` holds: written whole, so that a crash leaves the one before or the new one. */
export interface PublishedFile {
  /** The highest version of each eid that was ever published; what lies above is a draft. */
  readonly highest: Readonly<Record<string, number>>;
  /** Oldest first, at least one; the last is current. */
  readonly sets: readonly PublishedSet[];
}

/** Reads what is published; undefined where nothing ever was. Throws ERR_SCHEMA_INVALID, ERR_FILE_UNREADABLE. */
export async function readPublished(directory: string): Promise<PublishedFile | undefined> {
  const file = join(directory, 'published.json');
  const document = await readDocument(file);
  if (document === undefined) return undefined;
  const { sets, highest } = document;
  if (!Array.isArray(sets) || sets.length === 0 || !isObject(highest)) throw damaged(file);
  return document as unknown as PublishedFile;
}

/** Makes a set current: durable when it resolves. */
export async function writePublished(directory: string, published: PublishedFile): Promise<void> {
  await makeFolder(directory);
  await putFile(join(directory, 'published.json'), textOf(published));
}

/** Reads the versions that a set names. Throws ERR_SCHEMA_INVALID where one is not there. */
export async function readVersions(
  directory: string,
  versions: Readonly<Record<string, number>>,
): Promise<readonly VersionFile[]> {
  const names = Object.entries(versions);
  return Promise.all(names.map(([eid, version]) => readVersion(join(directory, eid), `${version}.json`)));
}

/** Reads every version there is, by eid, then number. */
export async function readAllVersions(directory: string): Promise<readonly VersionFile[]> {
  const eids = (await namesIn(directory)).filter(name => /^[A-Z][A-Z0-9_]*$/.test(name)).sort();
  if (eids.length > EIDS_MAX)
    throw new MillraceError('ERR_SCHEMA_INVALID', `more than ${EIDS_MAX} eids in ${directory}`);
  const found: VersionFile[] = [];
  for (const eid of eids) {
    const folder = join(directory, eid);
    const files = (await namesIn(folder)).filter(name => /^\d+\.json$/.test(name));
    const versions = await Promise.all(files.map(file => readVersion(folder, file)));
    found.push(...versions.sort((a, b) => a.version - b.version));
  }
  return found;
}

/** Writes a version, over a draft of the same number: durable when it resolves. */
export async function writeVersion(directory: string, version: VersionFile): Promise<void> {
  if (version.version > VERSIONS_MAX)
    throw new MillraceError(
      'ERR_SCHEMA_INVALID',
      `${version.eid} has ${VERSIONS_MAX} versions, which is the most`,
    );
  await makeFolder(directory);
  const folder = join(directory, version.eid);
  await makeFolder(folder);
  await syncFolder(directory);
  await putFile(join(folder, `${version.version}.json`), textOf(version));
}

function textOf(document: PublishedFile | VersionFile): string {
  return `${JSON.stringify({ formatVersion: FORMAT_VERSION, ...document }, null, 2)}\n`;
}

async function readVersion(folder: string, name: string): Promise<VersionFile> {
  const file = join(folder, name);
  const document = await readDocument(file);
  if (document === undefined) {
    throw new MillraceError('ERR_SCHEMA_INVALID', `${file} is published and not there`, {
      remedy: 'Put the file back from a backup of the data directory.',
    });
  }
  const { eid, version, schema, breaks } = document;
  if (typeof eid !== 'string' || typeof version !== 'number' || !isObject(schema) || !Array.isArray(breaks))
    throw damaged(file);
  return document as unknown as VersionFile;
}

/** Undefined where the file is not there. */
async function readDocument(file: string): Promise<JsonObject | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (isAbsent(cause)) return undefined;
    throw new MillraceError('ERR_FILE_UNREADABLE', file, { cause });
  }
  let document: Json;
  try {
    document = JSON.parse(text) as Json;
  } catch (cause) {
    throw damaged(file, cause);
  }
  if (!isObject(document) || document['formatVersion'] !== FORMAT_VERSION) throw damaged(file);
  return document;
}

function damaged(file: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_SCHEMA_INVALID', `${file} is damaged, or another version wrote it`, {
    cause,
    remedy: 'Put the file back from a backup of the data directory, or use the version that wrote it.',
  });
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (isAbsent(cause)) return [];
    throw new MillraceError('ERR_FILE_UNREADABLE', folder, { cause });
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
}
