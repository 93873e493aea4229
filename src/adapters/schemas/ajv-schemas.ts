import type { ValidateFunction } from 'ajv';
import ajvDraft04 from 'ajv-draft-04';
import { MillraceError } from '../../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../../core/event.ts';
import type { SchemaRegistry, Violation } from '../../core/job.ts';
import { combineSchemas, readShipped, type SchemaSet } from './schema-set.ts';
import { boxed } from './time-box.ts';
import { escapePart, violationOf } from './violation.ts';

/** Eids with a schema of their own in the last check; every other one is held against `envelope`. */
const ROUTED_EIDS = ['SEARCH', 'ME_WORKFLOW_SUMMARY'] as const;

/**
 * CPU time, ms, that all checks of some events may take before each gets a time of its own, and after which one event
 * is taken for one that a pattern of its schema never comes to an end with. A chunk's take about 3.
 */
const CHECKS_MS_MAX = 100;
const CHECK_MS_MAX = 250;

/** The verdict of one schema: null where the event is valid. */
export type Check = (event: JsonObject) => Violation | null;

/** Schemas that are ready to judge events. */
export interface CompiledSchemas extends SchemaRegistry {
  /** Of the set that was compiled. */
  readonly digest: string;
  /** By the text of the schema: what a later compilation takes over. */
  readonly checks: ReadonlyMap<string, Check>;
}

/** Loads and compiles the schemas of a folder. Throws ERR_FILE_UNREADABLE, ERR_SCHEMA_INVALID. */
export async function loadSchemas(directory: string): Promise<CompiledSchemas> {
  return compileSchemas(combineSchemas(await readShipped(directory), []));
}

/**
 * Compiles a set of draft-04 schemas; nothing is compiled later. Formats are not checked: the original put
 * `date-time` on numbers. A name that every object inherits is missing where the event does not bring it.
 * @param before  a compilation whose unchanged schemas are taken over
 * @throws MillraceError ERR_SCHEMA_INVALID
 */
export function compileSchemas(set: SchemaSet, before?: CompiledSchemas): CompiledSchemas {
  const compile = createCompiler();
  const checks = new Map<string, Check>();
  const checkOf = (name: string, schema: JsonObject): Check => {
    const text = JSON.stringify(schema);
    const check = checks.get(text) ?? before?.checks.get(text) ?? compile(name, schema);
    checks.set(text, check);
    return check;
  };
  const byEid = new Map<string, Check>();
  for (const [eid, schema] of set.events) {
    const check = checkOf(eid.toLowerCase(), schema);
    for (const key of [eid, eid.toLowerCase()]) byEid.set(key, check);
  }
  const routedCheck = (name: string): Check => {
    const schema = set.routed.get(name);
    if (schema === undefined)
      throw new MillraceError('ERR_SCHEMA_INVALID', `routed/${name}.json is not there`);
    return checkOf(name, schema);
  };
  const routedBy = new Map<string, Check>(ROUTED_EIDS.map(eid => [eid, routedCheck(eid.toLowerCase())]));
  const envelope = routedCheck('envelope');
  const havePatterns = [...checks.keys()].some(hasPattern);
  const validateEvent = (event: JsonObject): Violation | null | undefined => {
    const { eid } = event;
    if (typeof eid !== 'string' || eid === '') return noEid(eid);
    // The original looks schemas up in lower case; their enums then refuse every spelling but upper case.
    return (byEid.get(eid) ?? byEid.get(eid.toLowerCase()))?.(event);
  };
  return {
    digest: set.digest,
    checks,
    validateEvents(events) {
      const together = havePatterns ? boxed(CHECKS_MS_MAX, () => events.map(validateEvent)) : undefined;
      return together?.value ?? events.map(validateEvent);
    },
    validateRouted(event) {
      const { eid } = event;
      const check = typeof eid === 'string' ? routedBy.get(eid.toUpperCase()) : undefined;
      return (check ?? envelope)(event);
    },
  };
}

/** Names that every object inherits; with the quotes that make them a whole word of a JSON text. */
const INHERITED = Object.getOwnPropertyNames(Object.prototype).map(name => JSON.stringify(name));

/**
 * Compiles with one of two settings. Looking at own properties alone takes ten times as long, and changes the answer
 * only where a schema speaks of a name that every object inherits.
 * @returns takes a schema with its references put in, and the name that errors call it by
 */
export function createCompiler(): (name: string, schema: JsonObject) => Check {
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
    const isListing = listsMembers(schema);
    const check: Check = event => {
      const isValid = validate(isListing ? definedMembers(event) : event);
      return isValid ? null : violationOf(validate.errors ?? []);
    };
    if (!hasPattern(text)) return check;
    return event => {
      const ended = boxed(CHECK_MS_MAX, () => check(event));
      return ended === undefined ? endless(event) : ended.value;
    };
  };
}

/** Of what an error repeats. */
const PATTERN_LENGTH_MAX = 200;

/** What a pattern was last held against: where a check was stopped, that one did not end. */
let tried = { pattern: '', text: '' };

class NotedPattern extends RegExp {
  override test(text: string): boolean {
    tried = { pattern: this.source, text };
    return super.test(text);
  }
}

/** Whether a schema may hold a pattern: only then can a check take longer than the event is long. */
function hasPattern(text: string): boolean {
  return text.includes('"pattern');
}

function endless(event: JsonObject): Violation {
  const pattern = tried.pattern.slice(0, PATTERN_LENGTH_MAX);
  const message = `takes more than ${CHECK_MS_MAX} ms to be held against the pattern ${pattern}`;
  return { pointer: pointerTo(event, tried.text) ?? '', message };
}

/** Where a text or the name of a member lies first; undefined where it is nowhere. */
function pointerTo(value: Json | undefined, text: string): string | undefined {
  if (value === text) return '';
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    const rest = name === text ? '' : pointerTo(inner, text);
    if (rest !== undefined) return `/${escapePart(name)}${rest}`;
  }
  return undefined;
}

/** Keywords that look at all members of an object, those too that are there with the value undefined. */
const LISTING = ['additionalProperties', 'patternProperties', 'minProperties', 'maxProperties', 'enum'];
/** Keywords whose schemas speak of the same object. */
const ALIKE = ['allOf', 'anyOf', 'oneOf', 'not'];

/** Whether a schema asks which members an event has, rather than whether it has those that the schema names. */
function listsMembers(schema: Json | undefined): boolean {
  if (Array.isArray(schema)) return schema.some(listsMembers);
  if (!isObject(schema)) return false;
  return (
    LISTING.some(keyword => schema[keyword] !== undefined) || ALIKE.some(key => listsMembers(schema[key]))
  );
}

function definedMembers(event: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined));
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
    code: { regExp: Object.assign(newPattern, { code: 'new RegExp' }) },
  });
}

function newPattern(pattern: string, flags: string): RegExp {
  return new NotedPattern(pattern, flags);
}

function noEid(eid: Json | undefined): Violation {
  return { pointer: '/eid', message: eid === undefined ? 'is required' : 'must be a text that is not empty' };
}
