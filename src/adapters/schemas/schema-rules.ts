import { isObject, type Json, type JsonObject } from '../../core/event.ts';

/** Kinds of values that draft-04 tells apart; a number is an integer or a fraction. */
export type ValueKind = 'null' | 'boolean' | 'integer' | 'fraction' | 'string' | 'array' | 'object';

const KINDS: readonly ValueKind[] = ['null', 'boolean', 'integer', 'fraction', 'string', 'array', 'object'];

/** Schemas that all hold for one value: parts of an `allOf`, or what several of them say of one field. */
export type Rules = readonly JsonObject[];

/** The rules with their `allOf` taken apart; an `allOf` that is left in a part has been. */
export function flattenRules(rules: Rules): Rules {
  return rules.flatMap(rule => {
    const parts = rule['allOf'];
    return Array.isArray(parts) ? [rule, ...flattenRules(parts.filter(isObject))] : [rule];
  });
}

/** Kinds of values that the rules may let pass; of flattened rules. */
export function kindsOf(rules: Rules): ReadonlySet<ValueKind> {
  const kinds = new Set<ValueKind>(KINDS);
  const keep = (allowed: ReadonlySet<ValueKind>) => {
    for (const kind of kinds) if (!allowed.has(kind)) kinds.delete(kind);
  };
  for (const { type, enum: values } of rules) {
    if (type !== undefined) keep(typesToKinds(type));
    if (Array.isArray(values)) keep(new Set(values.map(kindOf)));
  }
  return kinds;
}

/** The kinds that a `type` names; all of them where it is absent. */
export function typesToKinds(type: Json | undefined): ReadonlySet<ValueKind> {
  if (type === undefined) return new Set(KINDS);
  const names: readonly Json[] = Array.isArray(type) ? type : [type];
  const allowed = new Set(names);
  const hasNumber = allowed.has('number');
  return new Set(
    KINDS.filter(kind => {
      if (kind === 'fraction') return hasNumber;
      return allowed.has(kind) || (kind === 'integer' && hasNumber);
    }),
  );
}

/** The kind of a value. */
export function kindOf(value: Json): ValueKind {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'string';
    case 'number':
      return Number.isInteger(value) ? 'integer' : 'fraction';
    default:
      return 'object';
  }
}

/** The values of a keyword that are of the type asked for, over all rules. */
export function numbersOf(rules: Rules, keyword: string): readonly number[] {
  return rules.map(rule => rule[keyword]).filter(value => typeof value === 'number');
}

/** The names that the rules ask for. */
export function requiredBy(rules: Rules): ReadonlySet<string> {
  const names = rules.flatMap(({ required }) => (Array.isArray(required) ? required : []));
  return new Set(names.filter(name => typeof name === 'string'));
}

/** A member of a rule that maps names (or patterns) to schemas. */
export function schemasIn(
  rule: JsonObject,
  keyword: 'properties' | 'patternProperties',
): [string, JsonObject][] {
  const members = rule[keyword];
  if (!isObject(members)) return [];
  return Object.entries(members).filter((entry): entry is [string, JsonObject] => isObject(entry[1]));
}

/** Whether the rule speaks of the field by its name or by a pattern. */
export function isNamed(rule: JsonObject, name: string): boolean {
  return ownRules(rule, name).length > 0;
}

/** What flattened rules say of one field; undefined where they do not let it be there. */
export function rulesOfField(rules: Rules, name: string): Rules | undefined {
  const found: JsonObject[] = [];
  for (const rule of rules) {
    const own = ownRules(rule, name);
    found.push(...own);
    if (own.length > 0) continue;
    const rest = rule['additionalProperties'];
    if (rest === false) return undefined;
    if (isObject(rest)) found.push(rest);
  }
  return found;
}

function ownRules(rule: JsonObject, name: string): Rules {
  const byName = schemasIn(rule, 'properties').filter(([property]) => property === name);
  const byPattern = schemasIn(rule, 'patternProperties').filter(([pattern]) =>
    new RegExp(pattern, 'u').test(name),
  );
  return [...byName, ...byPattern].map(([, schema]) => schema);
}
