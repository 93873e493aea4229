import type { Json } from '../../query/contract.ts';

/** What is said of a value beside it. */
export type Mark = 'added' | 'changed' | 'fault' | 'missing';

/** One line of a JSON text: `key` and `text` are shown as they are, never as markup. */
export interface JsonLine {
  readonly depth: number;
  /** JSON pointer of the value; closing brackets have their object's. */
  readonly pointer: string;
  readonly key: string | null;
  readonly kind: 'text' | 'number' | 'word' | 'bracket' | 'note';
  readonly text: string;
  readonly mark: Mark | null;
}

/** Longest text of a value on its line; the rest is left out and said so. */
const TEXT_CHARACTERS_MAX = 2000;
/** Lines of one value: what is longer can be exported. */
const LINES_MAX = 50_000;

/**
 * A value as lines of indented JSON. `marks` are by JSON pointer; one for a field that is not there adds a line
 * that says so, in the object that should hold it.
 */
export function jsonLines(value: Json, marks: ReadonlyMap<string, Mark>): readonly JsonLine[] {
  const lines: JsonLine[] = [];
  const missing = missingByParent(value, marks);
  const add = (line: JsonLine): void => {
    if (lines.length < LINES_MAX) lines.push(line);
  };
  const walk = (at: Json, place: Place): void => {
    if (lines.length >= LINES_MAX) return;
    const { depth, pointer, key, comma, inherited } = place;
    const mark = marks.get(pointer) ?? inherited;
    const line = { depth, pointer, key, mark };
    if (typeof at !== 'object' || at === null) {
      add({ ...line, kind: kindOf(at), text: `${textOf(at)}${comma}` });
      return;
    }
    const isList = Array.isArray(at);
    const entries = Object.entries(at).filter((entry): entry is [string, Json] => entry[1] !== undefined);
    const absent = missing.get(pointer) ?? [];
    const [open, close] = isList ? ['[', ']'] : ['{', '}'];
    if (entries.length === 0 && absent.length === 0) {
      add({ ...line, kind: 'bracket', text: `${open}${close}${comma}` });
      return;
    }
    add({ ...line, kind: 'bracket', text: open });
    const inside = mark === 'added' ? mark : null;
    for (const [index, [name, child]] of entries.entries()) {
      const more = index < entries.length - 1 ? ',' : '';
      const step = `${pointer}/${escapeStep(name)}`;
      walk(child, {
        depth: depth + 1,
        pointer: step,
        key: isList ? null : name,
        comma: more,
        inherited: inside,
      });
    }
    for (const name of absent) add(missingLine(depth + 1, pointer, name));
    add({ ...line, key: null, kind: 'bracket', text: `${close}${comma}` });
  };
  walk(value, { depth: 0, pointer: '', key: null, comma: '', inherited: null });
  if (lines.length === LINES_MAX) lines.push(cutLine());
  return lines;
}

interface Place {
  readonly depth: number;
  readonly pointer: string;
  readonly key: string | null;
  readonly comma: string;
  readonly inherited: Mark | null;
}

/** The value at a JSON pointer (RFC 6901); undefined where there is none. */
export function valueAtPointer(root: Json, pointer: string): Json | undefined {
  let value: Json | undefined = root;
  for (const step of stepsOf(pointer)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string, Json | undefined>>)[step];
  }
  return value;
}

/** The steps of a JSON pointer, unescaped: `/a/b~1c` is `a`, `b/c`. */
export function stepsOf(pointer: string): readonly string[] {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The fields that a mark names and the value lacks, by the deepest object that is there. */
function missingByParent(
  value: Json,
  marks: ReadonlyMap<string, Mark>,
): ReadonlyMap<string, readonly string[]> {
  const missing = new Map<string, string[]>();
  for (const pointer of marks.keys()) {
    if (valueAtPointer(value, pointer) !== undefined) continue;
    const steps = stepsOf(pointer);
    let known = steps.length - 1;
    while (known > 0 && valueAtPointer(value, pointerOf(steps.slice(0, known))) === undefined) known--;
    const parent = pointerOf(steps.slice(0, known));
    const names = missing.get(parent) ?? [];
    names.push(steps.slice(known).join('.'));
    missing.set(parent, names);
  }
  return missing;
}

function pointerOf(steps: readonly string[]): string {
  return steps.map(step => `/${escapeStep(step)}`).join('');
}

/** A name as one step of a JSON pointer. */
export function escapeStep(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1');
}

function missingLine(depth: number, parent: string, name: string): JsonLine {
  const pointer = `${parent}/${escapeStep(name)}`;
  return { depth, pointer, key: name, kind: 'note', text: 'is missing here', mark: 'missing' };
}

function cutLine(): JsonLine {
  return {
    depth: 0,
    pointer: '',
    key: null,
    kind: 'note',
    text: 'the rest is not shown; export it',
    mark: null,
  };
}

function kindOf(value: string | number | boolean | null): JsonLine['kind'] {
  if (typeof value === 'string') return 'text';
  return typeof value === 'number' ? 'number' : 'word';
}

function textOf(value: string | number | boolean | null): string {
  const text = JSON.stringify(value);
  if (text.length <= TEXT_CHARACTERS_MAX) return text;
  return `${text.slice(0, TEXT_CHARACTERS_MAX)}… (${text.length} characters)`;
}
