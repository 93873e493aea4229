import { isDeepStrictEqual } from 'node:util';
import { isObject, type Json, type JsonObject } from '../../core/event.ts';
import type { SchemaBreak } from '../../core/schema-documents.ts';
import {
  flattenRules,
  isNamed,
  kindOf,
  kindsOf,
  numbersOf,
  type Rules,
  requiredBy,
  rulesOfField,
  schemasIn,
  typesToKinds,
  type ValueKind,
} from './schema-rules.ts';
import { escapePart } from './violation.ts';

/** Comparisons of one call; alternatives within alternatives multiply. */
const STEPS_MAX = 100_000;
const BREAKS_MAX = 20;

/**
 * What an older schema let pass and a newer one may refuse. None means: every event that the older accepts the newer
 * accepts too. The proof goes by structure and errs on the safe side: what it cannot prove is a break.
 * @param older  references put in
 * @param newer  references put in
 * @returns at most 20, by the field of the event: `0` stands for any element of a list, `*` for any field not listed
 */
export function findBreaks(older: JsonObject, newer: JsonObject): readonly SchemaBreak[] {
  const place = { pointer: '', opened: [], steps: { left: STEPS_MAX } };
  return compare([older], newer, place).slice(0, BREAKS_MAX);
}

/** Where the comparison stands in the event, and what is left of its bound. */
interface Place {
  readonly pointer: string;
  /** Alternatives of the older rules here, one of each of which stands beside them. */
  readonly opened: readonly Json[];
  readonly steps: { left: number };
}

type Breaks = readonly SchemaBreak[];

const NONE: Breaks = [];

function breakAt({ pointer }: Place, message: string): Breaks {
  return [{ pointer, message }];
}

function within(place: Place, name: string): Place {
  return { ...place, opened: [], pointer: `${place.pointer}/${escapePart(name)}` };
}

/** Whether whatever obeys all older rules obeys the newer one. */
function compare(older: Rules, newer: JsonObject, place: Place): Breaks {
  place.steps.left -= 1;
  if (place.steps.left < 0) return breakAt(place, 'has rules too involved to be compared');
  const rules = flattenRules(older);
  const breaks = flattenRules([newer]).flatMap(part => compareRule(rules, part, place));
  if (breaks.length === 0) return NONE;
  // What the older alternatives have not in common may still hold for each of them.
  const alternatives = alternativesOf(rules, place.opened);
  const cases = alternatives?.filter(isObject) ?? (newer['anyOf'] === undefined ? [] : kindsApart(rules));
  if (cases.length === 0) return breaks;
  const others = rules.map(withoutAllOf);
  const opened = alternatives === undefined ? place.opened : [...place.opened, alternatives];
  const isHeld = cases.every(one => compare([...others, one], newer, { ...place, opened }).length === 0);
  return isHeld ? NONE : breaks;
}

/** The first alternatives in rules that were not opened yet. */
function alternativesOf(rules: Rules, opened: readonly Json[]): readonly Json[] | undefined {
  return rules
    .flatMap(rule => [rule['anyOf'], rule['oneOf']])
    .find(alternatives => Array.isArray(alternatives) && !opened.includes(alternatives)) as
    | readonly Json[]
    | undefined;
}

/** The parts of an `allOf` stand beside it in flattened rules. */
function withoutAllOf(rule: JsonObject): JsonObject {
  return { ...rule, allOf: undefined };
}

/** The kinds of values that rules take, each as a rule; none where there is but one. */
function kindsApart(rules: Rules): Rules {
  const kinds = kindsOf(rules);
  const types = new Set([...kinds].map(kind => (kind === 'fraction' ? 'number' : kind)));
  if (types.has('number')) types.delete('integer');
  return types.size < 2 ? [] : [...types].map(type => ({ type }));
}

function compareRule(rules: Rules, newer: JsonObject, place: Place): Breaks {
  const kinds = kindsOf(rules);
  if (kinds.size === 0) return NONE;
  const breaks = [...compareKinds(kinds, newer, place), ...compareValues(rules, newer, place)];
  if (kinds.has('integer') || kinds.has('fraction')) breaks.push(...compareNumbers(rules, newer, place));
  if (kinds.has('string')) breaks.push(...compareTexts(rules, newer, place));
  if (kinds.has('array')) breaks.push(...compareLists(rules, newer, place));
  if (kinds.has('object')) breaks.push(...compareObjects(rules, newer, place));
  breaks.push(...compareAlternatives(rules, newer, place));
  return breaks;
}

function compareKinds(kinds: ReadonlySet<ValueKind>, newer: JsonObject, place: Place): Breaks {
  const allowed = typesToKinds(newer['type']);
  const refused = [...kinds].filter(kind => !allowed.has(kind));
  if (refused.length === 0) return NONE;
  const types = Array.isArray(newer['type']) ? newer['type'] : [newer['type']];
  return breakAt(place, `must be ${types.join(' or ')} now; ${refused.join(', ')} was accepted`);
}

function compareValues(rules: Rules, newer: JsonObject, place: Place): Breaks {
  const allowed = newer['enum'];
  if (!Array.isArray(allowed)) return NONE;
  const lists = rules.map(rule => rule['enum']).filter(values => Array.isArray(values));
  const [first, ...others] = lists;
  if (first === undefined) return breakAt(place, `is limited to ${allowed.map(textOf).join(', ')} now`);
  const kinds = kindsOf(rules);
  const accepted = first.filter(
    value => kinds.has(kindOf(value)) && others.every(list => includes(list, value)),
  );
  const refused = accepted.filter(value => !includes(allowed, value));
  return refused.length === 0 ? NONE : breakAt(place, `no longer takes ${refused.map(textOf).join(', ')}`);
}

function includes(list: readonly Json[], value: Json): boolean {
  return list.some(member => isDeepStrictEqual(member, value));
}

function textOf(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function compareNumbers(rules: Rules, newer: JsonObject, place: Place): Breaks {
  const breaks = [
    ...compareBound(rules, newer, { place, keyword: 'minimum', flag: 'exclusiveMinimum', sign: 1 }),
    ...compareBound(rules, newer, { place, keyword: 'maximum', flag: 'exclusiveMaximum', sign: -1 }),
  ];
  const factor = newer['multipleOf'];
  if (factor !== undefined && !rules.some(rule => rule['multipleOf'] === factor))
    breaks.push(...breakAt(place, `must be a multiple of ${factor} now`));
  return breaks;
}

function compareBound(
  rules: Rules,
  newer: JsonObject,
  bound: { readonly place: Place; readonly keyword: string; readonly flag: string; readonly sign: 1 | -1 },
): Breaks {
  const { place, keyword, flag, sign } = bound;
  const limit = newer[keyword];
  if (typeof limit !== 'number') return NONE;
  const isHeld = rules.some(rule => {
    const old = rule[keyword];
    if (typeof old !== 'number') return false;
    return old * sign > limit * sign || (old === limit && (newer[flag] !== true || rule[flag] === true));
  });
  return isHeld
    ? NONE
    : breakAt(place, `has the ${keyword} ${limit}${newer[flag] === true ? ', exclusive,' : ''} now`);
}

/** Limits of a size: how the newer one relates to the tightest of the older. */
function compareSize(
  newer: JsonObject,
  keyword: string,
  size: { readonly rules: Rules; readonly place: Place; readonly known?: number },
): Breaks {
  const limit = newer[keyword];
  if (typeof limit !== 'number') return NONE;
  const isLeast = keyword.startsWith('min');
  const old = numbersOf(size.rules, keyword);
  const isHeld = isLeast
    ? Math.max(size.known ?? 0, ...old) >= limit
    : Math.min(Number.POSITIVE_INFINITY, ...old) <= limit;
  return isHeld ? NONE : breakAt(size.place, `has ${keyword} ${limit} now`);
}

function compareTexts(rules: Rules, newer: JsonObject, place: Place): Breaks {
  const sizes = { rules, place };
  const breaks = [...compareSize(newer, 'minLength', sizes), ...compareSize(newer, 'maxLength', sizes)];
  const { pattern } = newer;
  if (pattern !== undefined && !rules.some(rule => rule['pattern'] === pattern))
    breaks.push(...breakAt(place, `must match ${pattern} now`));
  return breaks;
}

function compareLists(rules: Rules, newer: JsonObject, place: Place): Breaks {
  const sizes = { rules, place };
  const breaks = [...compareSize(newer, 'minItems', sizes), ...compareSize(newer, 'maxItems', sizes)];
  if (newer['uniqueItems'] === true && !rules.some(rule => rule['uniqueItems'] === true))
    breaks.push(...breakAt(place, 'must not repeat an element now'));
  const { items, additionalItems } = newer;
  if (isObject(items)) {
    const elements = rules.map(rule => rule['items']).filter(isObject);
    breaks.push(...compare(elements, items, within(place, '0')));
  }
  if (Array.isArray(items)) {
    const isSame = rules.some(
      rule =>
        isDeepStrictEqual(rule['items'], items) &&
        isDeepStrictEqual(rule['additionalItems'], additionalItems),
    );
    if (!isSame) breaks.push(...breakAt(place, 'has other rules for its elements by position'));
  }
  return breaks;
}

function compareObjects(rules: Rules, newer: JsonObject, place: Place): Breaks {
  const required = requiredBy(rules);
  const sizes = { rules, place, known: required.size };
  return [
    ...[...requiredBy([newer])]
      .filter(name => !required.has(name))
      .flatMap(name => breakAt(within(place, name), 'is required now')),
    ...compareSize(newer, 'minProperties', sizes),
    ...compareSize(newer, 'maxProperties', { rules, place }),
    ...schemasIn(newer, 'properties').flatMap(([name, schema]) =>
      compareField(rules, schema, { place, name }),
    ),
    ...schemasIn(newer, 'patternProperties').flatMap(([pattern, schema]) =>
      comparePattern(rules, schema, { place, pattern }),
    ),
    ...compareRest(rules, newer, place),
    ...compareDependencies(rules, newer, place),
  ];
}

function compareField(
  rules: Rules,
  schema: JsonObject,
  { place, name }: { readonly place: Place; readonly name: string },
): Breaks {
  const older = rulesOfField(rules, name);
  return older === undefined ? NONE : compare(older, schema, within(place, name));
}

function comparePattern(
  rules: Rules,
  schema: JsonObject,
  { place, pattern }: { readonly place: Place; readonly pattern: string },
): Breaks {
  const same = rules.flatMap(rule =>
    schemasIn(rule, 'patternProperties').filter(([other]) => other === pattern),
  );
  const older = same.map(([, other]) => other);
  return compare(older, schema, place).length === 0
    ? NONE
    : breakAt(place, `has other rules for fields that match ${pattern}`);
}

/** Fields that the newer rule does not name: refused, or held against `additionalProperties`. */
function compareRest(rules: Rules, newer: JsonObject, place: Place): Breaks {
  const rest = newer['additionalProperties'];
  if (rest !== false && !isObject(rest)) return NONE;
  const listed = new Set(rules.flatMap(rule => schemasIn(rule, 'properties').map(([name]) => name)));
  const breaks = [...listed].flatMap((name): Breaks => {
    if (isNamed(newer, name)) return NONE;
    if (isObject(rest)) return compareField(rules, rest, { place, name });
    const isGone = rulesOfField(rules, name) !== undefined;
    return isGone ? breakAt(within(place, name), 'is no longer a field that the schema knows') : NONE;
  });
  // What is left has names that neither lists; an older rule speaks of all of them where its patterns match none.
  const others = rules.filter(rule => matchesNoMore(rule, newer)).map(rule => rule['additionalProperties']);
  if (others.includes(false)) return breaks;
  if (rest === false)
    return [...breaks, ...breakAt(place, 'is closed now: fields that are not listed were accepted')];
  return [...breaks, ...compare(others.filter(isObject), rest, within(place, '*'))];
}

/** Whether the newer rule names by pattern whatever the older one does. */
function matchesNoMore(older: JsonObject, newer: JsonObject): boolean {
  const patterns = schemasIn(newer, 'patternProperties').map(([pattern]) => pattern);
  return schemasIn(older, 'patternProperties').every(([pattern]) => patterns.includes(pattern));
}

function compareDependencies(rules: Rules, newer: JsonObject, place: Place): Breaks {
  const { dependencies } = newer;
  if (!isObject(dependencies)) return NONE;
  const held = rules.map(rule => rule['dependencies']).filter(isObject);
  return Object.entries(dependencies).flatMap(([name, dependency]) =>
    held.some(older => Object.hasOwn(older, name) && isDeepStrictEqual(older[name], dependency))
      ? NONE
      : breakAt(within(place, name), 'has other dependencies'),
  );
}

function compareAlternatives(rules: Rules, newer: JsonObject, place: Place): Breaks {
  const breaks: SchemaBreak[] = [];
  const { anyOf } = newer;
  if (Array.isArray(anyOf)) {
    const isHeld = anyOf.filter(isObject).some(branch => compare(rules, branch, place).length === 0);
    if (!isHeld) breaks.push(...breakAt(place, 'has no alternative that takes all that was accepted'));
  }
  for (const keyword of ['oneOf', 'not'] as const) {
    const rule = newer[keyword];
    if (rule !== undefined && !rules.some(older => isDeepStrictEqual(older[keyword], rule)))
      breaks.push(...breakAt(place, `has another rule ${keyword}`));
  }
  return breaks;
}
