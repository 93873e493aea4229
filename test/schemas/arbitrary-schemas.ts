import fc from 'fast-check';
import { isObject, type Json, type JsonObject } from '../../src/core/event.ts';

const NAMES = ['a', 'b', 'ab', 'constructor'];
const TYPES = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'];

const leaf = fc.oneof(
  fc.constantFrom<Json>(null, true, false, -1, 0, 0.5, 1, 2, 3, '', 'a', 'b', 'ab', 'aab'),
  fc.constantFrom<Json>([], {}, [1, 1], ['a'], { a: 1 }),
);

/** Values of a small world, so that small schemas accept some of them. */
export const aValue: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'value' },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...NAMES), tie('value'), {
      maxKeys: 3,
      noNullPrototype: true,
    }) as fc.Arbitrary<JsonObject>,
  ),
})).value;

/** Schemas of draft-04 over that world, with every keyword that the comparison knows. */
export const aSchema: fc.Arbitrary<JsonObject> = fc.letrec<{ schema: JsonObject }>(tie => {
  const schema = tie('schema');
  const few = fc.array(schema, { minLength: 1, maxLength: 2 });
  const named = fc.dictionary(fc.constantFrom(...NAMES), schema, { maxKeys: 2, noNullPrototype: true });
  const bound = fc.integer({ min: -1, max: 3 });
  const size = fc.integer({ min: 0, max: 2 });
  const keywords: Record<string, fc.Arbitrary<Json>> = {
    type: fc.oneof(
      fc.constantFrom(...TYPES),
      fc.constantFrom('object', 'object', 'array'),
      fc.uniqueArray(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 3 }),
    ),
    enum: fc.uniqueArray(leaf, { minLength: 1, maxLength: 3, selector: value => JSON.stringify(value) }),
    multipleOf: fc.constantFrom(0.5, 1, 2),
    minLength: size,
    maxLength: size,
    pattern: fc.constantFrom('^a', 'b$', ''),
    items: fc.oneof(schema, schema, few) as fc.Arbitrary<Json>,
    additionalItems: fc.oneof(fc.boolean(), schema) as fc.Arbitrary<Json>,
    minItems: size,
    maxItems: size,
    uniqueItems: fc.boolean(),
    required: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 2 }),
    minProperties: size,
    maxProperties: size,
    properties: named,
    patternProperties: fc.dictionary(fc.constantFrom('^a', 'b$'), schema, {
      maxKeys: 2,
      noNullPrototype: true,
    }),
    additionalProperties: fc.oneof(fc.constant(false), fc.boolean(), schema) as fc.Arbitrary<Json>,
    dependencies: fc.dictionary(
      fc.constantFrom(...NAMES),
      fc.oneof(fc.constant(['a']), schema) as fc.Arbitrary<Json>,
      { maxKeys: 1, noNullPrototype: true },
    ),
    allOf: few,
    anyOf: few,
    oneOf: few,
    not: schema,
  };
  const bounds = fc.record(
    { minimum: bound, maximum: bound, exclusiveMinimum: fc.boolean(), exclusiveMaximum: fc.boolean() },
    { requiredKeys: ['minimum', 'maximum'] },
  );
  const keyword = fc
    .constantFrom(...Object.keys(keywords))
    .chain(name => keywords[name]!.map((value): JsonObject => ({ [name]: value })));
  return {
    schema: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'schema' },
      fc.oneof(
        fc.constant<JsonObject>({}),
        fc.constantFrom(...TYPES).map((type): JsonObject => ({ type })),
        bounds,
      ),
      fc
        .array(fc.oneof({ weight: 5, arbitrary: keyword }, { weight: 1, arbitrary: bounds }), {
          minLength: 1,
          maxLength: 4,
        })
        .map(parts => Object.assign({}, ...parts) as JsonObject),
    ),
  };
}).schema;

/** One change of a schema: at one of the schemas in it, a keyword goes or comes. */
interface Edit {
  readonly place: number;
  readonly keyword: number;
  readonly from: JsonObject | null;
}

/** Pairs of an older and a newer schema: equal but for some edits, or strangers. */
export const aPair: fc.Arbitrary<readonly [JsonObject, JsonObject]> = fc.oneof(
  { weight: 1, arbitrary: fc.tuple(aSchema, aSchema) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        aSchema,
        fc.array(
          fc.record({
            place: fc.nat(),
            keyword: fc.nat(),
            from: fc.oneof(fc.constant(null), aSchema),
          }) as fc.Arbitrary<Edit>,
          { minLength: 1, maxLength: 3 },
        ),
      )
      .map(([older, edits]) => [older, edits.reduce(editSchema, older)] as const),
  },
);

function editSchema(schema: JsonObject, edit: Edit): JsonObject {
  const copy = structuredClone(schema) as JsonObject;
  const places = objectsOf(copy);
  const place = places[edit.place % places.length]! as Record<string, Json>;
  const source = edit.from ?? place;
  const names = Object.keys(source);
  const name = names[edit.keyword % Math.max(1, names.length)];
  if (name === undefined) return copy;
  if (edit.from === null) delete place[name];
  else place[name] = edit.from[name]!;
  return copy;
}

/** Every object of a schema; an edit of one that holds names, not keywords, is caught by the compiler. */
function objectsOf(node: Json | undefined): readonly JsonObject[] {
  if (Array.isArray(node)) return node.flatMap(objectsOf);
  return isObject(node) ? [node, ...Object.values(node).flatMap(objectsOf)] : [];
}
