import ajvDraft04 from 'ajv-draft-04';
import { didYouMean } from '../../config/suggest.ts';
import { MillraceError } from '../../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../../core/event.ts';
import type { SchemaFinding } from '../../core/schema-documents.ts';
import { createCompiler } from './ajv-schemas.ts';
import { findBreaks } from './find-breaks.ts';
import { findReference, resolveSchema } from './read-schemas.ts';
import { pinnedEids, type ShippedSchemas } from './schema-set.ts';
import { escapePart } from './violation.ts';

const FINDINGS_MAX = 50;
/** Nesting that is looked at; what lies deeper is refused with the references. */
const DEPTH_MAX = 64;

const DRAFT_04 = 'http://json-schema.org/draft-04/schema#';

/** Keywords of draft-04, by what their values hold. */
const SINGLE = ['not', 'items', 'additionalItems', 'additionalProperties'];
const LISTS = ['allOf', 'anyOf', 'oneOf', 'items'];
const MAPS = ['properties', 'patternProperties', 'definitions', 'dependencies'];
const KEYWORDS: ReadonlySet<string> = new Set([
  ...[...SINGLE, ...LISTS, ...MAPS],
  ...['$schema', '$ref', 'id', 'title', 'description', 'default', 'enum', 'type', 'format', 'required'],
  ...['multipleOf', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'minLength', 'maxLength'],
  ...['pattern', 'minItems', 'maxItems', 'uniqueItems', 'minProperties', 'maxProperties'],
]);

/** Names of shared parts of the original besides those that ship: they name no event. */
const PARTS = ['ACTOR', 'COMMON', 'EVENT', 'PDATA', 'ROLLUP'];

/** A schema as the lint sees it. */
export interface LintedSchema {
  /** The eid that it pins; undefined where it has an error. */
  readonly eid: string | undefined;
  /** References put in; undefined where it has an error. */
  readonly schema: JsonObject | undefined;
  /** In the order of the file, at most 50. */
  readonly findings: readonly SchemaFinding[];
}

/**
 * Looks for what is wrong with a schema of events: draft-04, keywords, references, the name of the event, and whether
 * it can be compiled.
 */
export function lintSchema(document: Json, shipped: ShippedSchemas): LintedSchema {
  const findings = [
    ...metaFindings(document),
    ...walk(document, { document, shipped, pointer: '', depth: 0 }),
  ];
  const error = (message: string) => findings.push({ severity: 'error', pointer: '', message });
  let schema: JsonObject | undefined;
  let eid: string | undefined;
  if (!findings.some(({ severity }) => severity === 'error')) {
    try {
      schema = resolveSchema(document, { name: 'the schema', documents: shipped.documents });
      createCompiler()('the schema', schema);
      const named = nameOf(schema, shipped);
      if ('refusal' in named) error(named.refusal);
      else {
        eid = named.eid;
        findings.push(...envelopeFindings(schema, shipped));
      }
    } catch (cause) {
      if (!(cause instanceof MillraceError)) throw cause;
      error(cause.why);
    }
  }
  return { eid, schema: eid === undefined ? undefined : schema, findings: findings.slice(0, FINDINGS_MAX) };
}

/** Why an eid cannot have a schema of the operator's; undefined where it can. */
export function refuseEid(eid: string, { telemetry }: Pick<ShippedSchemas, 'telemetry'>): string | undefined {
  if (!/^[A-Z][A-Z0-9_]{0,63}$/.test(eid))
    return `"${eid.slice(0, 80)}" cannot be an eid: use up to 64 of A-Z, 0-9 and _, a letter first`;
  const part = telemetry.get(eid.toLowerCase());
  if (PARTS.includes(eid) || (part !== undefined && !pinnedEids(part).includes(eid)))
    return `${eid} is the name of a shared part of schemas, not of an event`;
  if (eid === 'SHARE_ITEM' || eid.startsWith('ME_'))
    return `${eid} is made by the pipeline: a schema would let clients send it`;
  return undefined;
}

function nameOf(
  schema: JsonObject,
  shipped: ShippedSchemas,
): { readonly eid: string } | { readonly refusal: string } {
  const eids = [...new Set(pinnedEids(schema))];
  const [eid] = eids;
  if (typeof eid !== 'string' || eids.length > 1) {
    return { refusal: 'it must name its one event: "properties": {"eid": {"enum": ["NAME"]}}' };
  }
  const refusal = refuseEid(eid, shipped);
  return refusal === undefined ? { eid } : { refusal };
}

/** Every event must have what the later jobs go by; one without it is rejected there, with less to say why. */
function envelopeFindings(schema: JsonObject, { telemetry }: ShippedSchemas): readonly SchemaFinding[] {
  const envelope = telemetry.get('envelope');
  const [gap] = envelope === undefined ? [] : findBreaks(schema, envelope);
  if (gap === undefined) return [];
  const message = `it accepts events that the envelope refuses at ${gap.pointer || 'the root'}`;
  return [
    { severity: 'warning', pointer: '', message: `${message}: add {"$ref": "envelope.json"} to its allOf` },
  ];
}

function metaFindings(document: Json): SchemaFinding[] {
  if (!isObject(document)) return [{ severity: 'error', pointer: '', message: 'it is not a JSON object' }];
  const { $schema } = document;
  if ($schema !== undefined && String($schema).replace(/#?$/, '#') !== DRAFT_04) {
    return [{ severity: 'error', pointer: '/$schema', message: `must be ${DRAFT_04}` }];
  }
  const ajv = new ajvDraft04.default({
    strict: false,
    validateFormats: false,
    allErrors: true,
    logger: false,
  });
  const { $schema: _, ...rest } = document;
  if (ajv.validateSchema(rest) === true) return [];
  const seen = new Set<string>();
  return (ajv.errors ?? []).flatMap(({ instancePath, message = 'is not valid' }): SchemaFinding[] => {
    if (seen.has(instancePath)) return [];
    seen.add(instancePath);
    return [{ severity: 'error', pointer: instancePath, message }];
  });
}

interface Step {
  readonly document: Json;
  readonly shipped: ShippedSchemas;
  readonly pointer: string;
  readonly depth: number;
}

/** Keywords and references of a schema and all schemas in it. */
function walk(node: Json, step: Step): SchemaFinding[] {
  if (!isObject(node) || step.depth > DEPTH_MAX) return [];
  const { pointer, shipped, document } = step;
  const { $ref } = node;
  if (typeof $ref === 'string') {
    if (findReference($ref, document, shipped.documents) !== undefined) return surplusFindings(node, pointer);
    const names = [...shipped.documents.keys()];
    const message = `refers to ${$ref}, which is not there${didYouMean($ref, names)}`;
    return [{ severity: 'error', pointer: `${pointer}/$ref`, message }];
  }
  return Object.entries(node).flatMap(([keyword, value = null]) => {
    const place = `${pointer}/${escapePart(keyword)}`;
    const found = keywordFindings(keyword, place);
    for (const [part, inner] of innerSchemas(keyword, value))
      found.push(...walk(inner, { ...step, pointer: `${place}${part}`, depth: step.depth + 1 }));
    return found;
  });
}

function surplusFindings(node: JsonObject, pointer: string): SchemaFinding[] {
  const surplus = Object.keys(node).filter(key => key !== '$ref' && key !== 'description');
  if (surplus.length === 0) return [];
  const message = `${surplus.join(', ')} beside $ref counts for nothing: put both into an allOf`;
  return [{ severity: 'error', pointer, message }];
}

function keywordFindings(keyword: string, pointer: string): SchemaFinding[] {
  if (keyword === 'format')
    return [
      { severity: 'warning', pointer, message: 'is not checked: say it with pattern, minimum or maximum' },
    ];
  if (KEYWORDS.has(keyword)) return [];
  const message = `is not a keyword of draft-04${didYouMean(keyword, KEYWORDS)}`;
  return [{ severity: 'error', pointer, message }];
}

/** The schemas that a keyword holds, with the end of their pointers. */
function innerSchemas(keyword: string, value: Json): readonly (readonly [part: string, schema: Json])[] {
  if (Array.isArray(value))
    return LISTS.includes(keyword) ? value.map((inner, index) => [`/${index}`, inner]) : [];
  if (!isObject(value)) return [];
  if (MAPS.includes(keyword))
    return Object.entries(value).map(([name, inner = null]) => [`/${escapePart(name)}`, inner]);
  return SINGLE.includes(keyword) ? [['', value]] : [];
}
