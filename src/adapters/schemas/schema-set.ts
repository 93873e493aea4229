import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { digestOfSchemas, type SchemaFile } from '../../config/schema-digest.ts';
import { type Json, type JsonObject, valueAt } from '../../core/event.ts';
import { type Documents, readDocuments, resolveDocuments, resolveSchema } from './read-schemas.ts';

/** A version of a schema of events that the operator added. */
export interface OwnSchema {
  readonly eid: string;
  readonly version: number;
  /** As it was written, with its references. */
  readonly schema: JsonObject;
}

/** The schemas that ship with the package. */
export interface ShippedSchemas {
  /** The files of `telemetry/3.0` as they are: what references may name. */
  readonly documents: Documents;
  /** Those files with references put in, by name without `.json`; schemas of events and parts of them. */
  readonly telemetry: ReadonlyMap<string, JsonObject>;
  /** What the last check goes by. */
  readonly routed: ReadonlyMap<string, JsonObject>;
  /** Every file with its digest. */
  readonly files: readonly SchemaFile[];
}

/** Schemas that are current together. */
export interface SchemaSet {
  /** Of events, by eid; references put in. */
  readonly events: ReadonlyMap<string, JsonObject>;
  readonly routed: ReadonlyMap<string, JsonObject>;
  /** SHA-256 over all files that they are made of, hexadecimal; that of the release where none is the operator's. */
  readonly digest: string;
}

/** Reads `telemetry/3.0` and `routed` of a folder. Throws ERR_FILE_UNREADABLE, ERR_SCHEMA_INVALID. */
export async function readShipped(directory: string): Promise<ShippedSchemas> {
  const read = async (path: string) => {
    const folder = join(directory, path);
    const { documents, files } = await readDocuments(folder);
    const paths = files.map(file => ({ ...file, path: `${path}/${file.path}` }));
    return { documents, schemas: resolveDocuments(folder, documents), files: paths };
  };
  const [routed, telemetry] = [await read('routed'), await read('telemetry/3.0')];
  return {
    documents: telemetry.documents,
    telemetry: telemetry.schemas,
    routed: routed.schemas,
    files: [...routed.files, ...telemetry.files],
  };
}

/** The set of the shipped schemas with the operator's in the place of those of the same eid. */
export function combineSchemas(shipped: ShippedSchemas, own: readonly OwnSchema[]): SchemaSet {
  const events = new Map<string, JsonObject>();
  for (const [name, schema] of shipped.telemetry) {
    const eid = name.toUpperCase();
    if (pinnedEids(schema).includes(eid)) events.set(eid, schema);
  }
  for (const version of own) events.set(version.eid, resolveOwn(version, shipped));
  const files = own.map(({ eid, schema }) => ({ path: `own/${eid}`, sha256: schemaDigest(schema) }));
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { events, routed: shipped.routed, digest: digestOfSchemas([...shipped.files, ...files]) };
}

/** An own schema with references put in; they may name the shipped files. Throws ERR_SCHEMA_INVALID. */
export function resolveOwn({ eid, version, schema }: OwnSchema, { documents }: ShippedSchemas): JsonObject {
  return resolveSchema(schema, { name: `${eid} version ${version}`, documents });
}

/** The eids that a schema lets pass: what tells a schema of events from a part of one. Empty where it pins none. */
export function pinnedEids(schema: Json | undefined): readonly Json[] {
  const eids = valueAt(schema, 'properties', 'eid', 'enum');
  if (Array.isArray(eids)) return eids;
  const parts = valueAt(schema, 'allOf');
  return Array.isArray(parts) ? parts.flatMap(pinnedEids) : [];
}

/** SHA-256 of one schema as it was written, hexadecimal. */
export function schemaDigest(schema: Json): string {
  return createHash('sha256').update(JSON.stringify(schema)).digest('hex');
}
