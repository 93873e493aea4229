import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ValidateFunction } from 'ajv';
import ajvDraft04 from 'ajv-draft-04';
import { digestOfSchemas, type SchemaFile } from '../../config/schema-digest.ts';
import { MillraceError } from '../../core/errors.ts';
import { type Json, type JsonObject, valueAt } from '../../core/event.ts';
import type { SchemaRegistry, Violation } from '../../core/job.ts';
import { readSchemas } from './read-schemas.ts';
import { violationOf } from './violation.ts';

/** Eids with a schema of their own in the last check; every other one is held against `envelope`. */
const ROUTED_EIDS = ['SEARCH', 'ME_WORKFLOW_SUMMARY'] as const;

type Check = (event: JsonObject) => Violation | null;

/** Schemas with the digest of the files they were loaded from. */
export interface LoadedSchemas extends SchemaRegistry {
  readonly digest: string;
}

/**
 * Loads and compiles `telemetry/3.0` and `routed` of a folder of draft-04 schemas; nothing is compiled later.
 * Formats are not checked: the original put `date-time` on numbers. A name that every object inherits is missing
 * where the event does not bring it.
 * @throws MillraceError ERR_FILE_UNREADABLE, ERR_SCHEMA_INVALID
 */
export async function loadSchemas(directory: string): Promise<LoadedSchemas> {
  const files: SchemaFile[] = [];
  const read = (folder: string) =>
    readSchemas(join(directory, folder), (file, text) => {
      files.push({ path: `${folder}/${file}`, sha256: createHash('sha256').update(text).digest('hex') });
    });
  const routed = await read('routed');
  const events = await read('telemetry/3.0');
  const compile = createCompiler();
  const byEid = new Map<string, Check>();
  for (const [name, schema] of events) {
    if (!isEventSchema(name, schema)) continue;
    for (const key of [name.toUpperCase(), name]) byEid.set(key, compile(name, schema));
  }
  const compileRouted = (name: string): Check => {
    const schema = routed.get(name);
    if (schema === undefined)
      throw new MillraceError('ERR_SCHEMA_INVALID', `routed/${name}.json is not there`);
    return compile(name, schema);
  };
  const routedBy = new Map<string, Check>(ROUTED_EIDS.map(eid => [eid, compileRouted(eid.toLowerCase())]));
  const envelope = compileRouted('envelope');
  return {
    digest: digestOfSchemas(files),
    validateEvent(event) {
      const { eid } = event;
      if (typeof eid !== 'string' || eid === '') return noEid(eid);
      // The original looks schemas up in lower case; their enums then refuse every spelling but upper case.
      return (byEid.get(eid) ?? byEid.get(eid.toLowerCase()))?.(event);
    },
    validateRouted(event) {
      const { eid } = event;
      const check = typeof eid === 'string' ? routedBy.get(eid.toUpperCase()) : undefined;
      return (check ?? envelope)(event);
    },
  };
}

/** Tells a schema of events from a part of one: it pins `eid` to the name of its file. */
function isEventSchema(name: string, schema: Json | undefined): boolean {
  const eids = valueAt(schema, 'properties', 'eid', 'enum');
  if (Array.isArray(eids) && eids.includes(name.toUpperCase())) return true;
  const parts = valueAt(schema, 'allOf');
  return Array.isArray(parts) && parts.some((part: Json) => isEventSchema(name, part));
}

/** Names that every object inherits; with the quotes that make them a whole word of a JSON text. */
const INHERITED = Object.getOwnPropertyNames(Object.prototype).map(name => JSON.stringify(name));

/**
 * Compiles with one of two settings. Looking at own properties alone takes ten times as long, and changes the answer
 * only where a schema speaks of a name that every object inherits.
 */
function createCompiler(): (name: string, schema: JsonObject) => Check {
  const plain = createAjv(false);
  const careful = createAjv(true);
  return (name, schema) => {
    const text = JSON.stringify(schema);
    const ajv = INHERITED.some(inherited => text.includes(inherited)) ? careful : plain;
    let validate: ValidateFunction;
    try {
      validate = ajv.compile(schema);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new MillraceError('ERR_SCHEMA_INVALID', `${name}.json: ${why}`, { cause });
    }
    return event => (validate(event) ? null : violationOf(validate.errors ?? []));
  };
}

function createAjv(ownProperties: boolean) {
  return new ajvDraft04.default({
    strict: false,
    validateFormats: false,
    ownProperties,
    // JSON texts such as 1e999 are read as infinite, and no output can hold that.
    strictNumbers: true,
    verbose: true,
    logger: false,
  });
}

function noEid(eid: Json | undefined): Violation {
  return { pointer: '/eid', message: eid === undefined ? 'is required' : 'must be a text that is not empty' };
}
