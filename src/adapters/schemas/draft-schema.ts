import { isObject, type Json, type JsonObject } from '../../core/event.ts';

/** Past these a draft says less, and says so: deeper, or more names than a person would list, is data. */
const DEPTH_MAX = 8;
const FIELDS_MAX = 100;
const SHAPES_MAX = 2000;

/** A text field is drafted as an enum where its values are few, short, and each seen again and again. */
const ENUM_VALUES_MAX = 8;
const ENUM_LENGTH_MAX = 40;
const ENUM_SEEN_MIN = 20;
const ENUM_EACH_MIN = 3;

/** An object is drafted closed where so many of it were seen: fewer say little of what else may come. */
const CLOSED_SEEN_MIN = 10;

/** A schema that grows with the events it is shown. */
export interface Draft {
  /** Takes an example into account; holds none of it but what the draft says. */
  add(event: JsonObject): void;
  /** Examples so far. */
  readonly count: number;
  /** The draft: the shipped envelope by reference, `edata` as it was seen. Every example's edata obeys it. */
  schema(): JsonObject;
}

/** Begins the draft of a schema of an eid. Without examples it lets any `edata` object pass. */
export function createDraft(eid: string): Draft {
  const size = { shapes: 1 };
  const edata = newShape();
  let count = 0;
  return {
    get count() {
      return count;
    },
    add(event) {
      count += 1;
      const value = event['edata'];
      if (isObject(value)) observe(edata, value, { depth: 0, size });
    },
    schema() {
      const drafted =
        edata.objects === 0
          ? { description: 'Open: list its fields under "properties".', type: 'object', properties: {} }
          : schemaOf(edata);
      const from =
        count === 0 ? 'Say here what happened.' : `Drafted from ${counted(count)}: say here what happened.`;
      return {
        $schema: 'http://json-schema.org/draft-04/schema#',
        description: from,
        allOf: [{ $ref: 'envelope.json' }, { properties: { eid: { enum: [eid] }, edata: drafted } }],
      };
    },
  };
}

/** What was seen at one place of the events. */
interface Shape {
  readonly types: Set<string>;
  objects: number;
  /** Null once there were too many to be fields. */
  fields: Map<string, Field> | null;
  /** Of any element of the lists; absent where none had one. */
  elements: Shape | undefined;
  /** Texts with how often each was seen; null once they are not a few words. */
  texts: Map<string, number> | null;
  /** True where nothing below was looked at. */
  isCut: boolean;
}

interface Field {
  readonly shape: Shape;
  seen: number;
}

interface Walk {
  readonly depth: number;
  readonly size: { shapes: number };
}

function newShape(): Shape {
  return {
    types: new Set(),
    objects: 0,
    fields: new Map(),
    elements: undefined,
    texts: new Map(),
    isCut: false,
  };
}

function observe(shape: Shape, value: Json, walk: Walk): void {
  shape.types.add(typeOf(value));
  if (typeof value === 'string') observeText(shape, value);
  if (Array.isArray(value)) observeElements(shape, value, walk);
  else if (isObject(value)) observeFields(shape, value, walk);
}

function typeOf(value: Json): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function observeText(shape: Shape, text: string): void {
  if (shape.texts === null) return;
  shape.texts.set(text, (shape.texts.get(text) ?? 0) + 1);
  if (text.length > ENUM_LENGTH_MAX || shape.texts.size > ENUM_VALUES_MAX) shape.texts = null;
}

function observeElements(shape: Shape, elements: readonly Json[], { depth, size }: Walk): void {
  if (elements.length === 0 || shape.isCut) return;
  if (shape.elements === undefined) {
    if (!hasRoom(depth, size)) {
      shape.isCut = true;
      return;
    }
    shape.elements = newShape();
  }
  for (const element of elements) observe(shape.elements, element, { depth: depth + 1, size });
}

/** Members that are null count as absent: the pipeline drops them before the schema sees the event. */
function observeFields(shape: Shape, object: JsonObject, { depth, size }: Walk): void {
  shape.objects += 1;
  for (const [name, value] of Object.entries(object)) {
    if (shape.fields === null) return;
    if (value === undefined || value === null) continue;
    let field = shape.fields.get(name);
    if (field === undefined) {
      if (shape.fields.size === FIELDS_MAX || !hasRoom(depth, size)) {
        shape.fields = null;
        shape.isCut = true;
        return;
      }
      field = { shape: newShape(), seen: 0 };
      shape.fields.set(name, field);
    }
    field.seen += 1;
    observe(field.shape, value, { depth: depth + 1, size });
  }
}

function hasRoom(depth: number, size: { shapes: number }): boolean {
  if (depth >= DEPTH_MAX || size.shapes >= SHAPES_MAX) return false;
  size.shapes += 1;
  return true;
}

function schemaOf(shape: Shape): JsonObject {
  const types = [...shape.types].sort();
  const type = types.length === 1 ? types[0]! : types;
  return {
    ...(shape.types.has('object') ? { description: commentOn(shape) } : {}),
    ...(types.length === 0 ? {} : { type }),
    ...(shape.types.has('object') ? fieldRules(shape) : {}),
    ...(shape.elements === undefined || shape.isCut ? {} : { items: schemaOf(shape.elements) }),
    ...(type === 'string' ? textRules(shape) : {}),
  };
}

function fieldRules({ fields, objects }: Shape): JsonObject {
  if (fields === null) return {};
  const required = [...fields].filter(([, field]) => field.seen === objects).map(([name]) => name);
  return {
    ...(required.length === 0 ? {} : { required }),
    ...(objects < CLOSED_SEEN_MIN ? {} : { additionalProperties: false }),
    properties: Object.fromEntries([...fields].map(([name, field]) => [name, schemaOf(field.shape)])),
  };
}

function commentOn({ fields, objects }: Shape): string {
  if (fields === null) return 'Open: its fields are too many, or too deep, to be listed.';
  if (objects < CLOSED_SEEN_MIN) {
    return `Open, as it was seen ${times(objects)} only: "additionalProperties": false refuses what is not listed.`;
  }
  return `Closed: what is not listed is refused; seen ${times(objects)}. Open it by taking additionalProperties out.`;
}

function textRules({ texts }: Shape): JsonObject {
  if (texts === null) return {};
  const counts = [...texts.values()];
  const total = counts.reduce((sum, count) => sum + count, 0);
  const isClear =
    counts.length > 1 && total >= ENUM_SEEN_MIN && counts.every(count => count >= ENUM_EACH_MIN);
  return isClear ? { enum: [...texts.keys()].sort() } : {};
}

function counted(count: number): string {
  return count === 1 ? '1 event' : `${count} events`;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
