import type { FailedRow, Json } from '../../query/contract.ts';
import { stepsOf, valueAtPointer } from './json-lines.ts';

/** A rejection in words for the person who writes the client. */
export interface Explanation {
  /** The rule that was broken, one sentence. */
  readonly rule: string;
  /** What the event has there now; null where it has nothing. */
  readonly found: string | null;
  /** What to change in the client, one sentence. */
  readonly fix: string;
  /** The field as a path that programmers write: `context.cdata[2].id`; null where no field is at fault. */
  readonly field: string | null;
  /** A line of JSON or code that shows it right; null where there is none to show. */
  readonly example: string | null;
}

/** Explains why an event was rejected and what its client must do. The event is what was set aside. */
export function explain(row: Pick<FailedRow, 'code' | 'reason' | 'pointer'>, event: Json): Explanation {
  const field = row.pointer === null || row.pointer === '' ? null : fieldOf(row.pointer);
  if (row.code === 'ERR_SCHEMA_VIOLATION' && row.pointer !== null) {
    return schemaRule(row.reason, { pointer: row.pointer, field: field ?? 'the event', event });
  }
  const known = RULES[row.code];
  if (known === undefined) return { rule: row.reason, found: null, fix: OTHER_FIX, field, example: null };
  return { ...known, found: null, field };
}

const OTHER_FIX = 'Compare the event with the documentation of its kind.';

type Rule = Pick<Explanation, 'rule' | 'fix' | 'example'>;

const RULES: Readonly<Record<string, Rule>> = {
  ERR_SCHEMA_NOT_FOUND: {
    rule: 'No schema is registered for this kind of event (eid), so nothing can be said of its fields.',
    fix: 'Check the spelling of eid, it is compared without case; for a new kind of event add a schema.',
    example: '"eid": "IMPRESSION"',
  },
  ERR_EVENT_TOO_LARGE: {
    rule: 'The event is larger than one event may be (extract.eventBytesMax).',
    fix: 'Send less in one event: leave out stack traces, images and lists that only repeat.',
    example: null,
  },
  ERR_SHARE_TOO_LARGE: {
    rule: 'Each transfer of an item becomes an event of its own; those of this SHARE would take 32 times its bytes.',
    fix: 'Send the items in several SHARE events, and only transfers that say something.',
    example: null,
  },
  ERR_EVENT_NOT_OBJECT: {
    rule: 'Every element of "events" must be a JSON object.',
    fix: 'Send each event as an object, not as a text that holds JSON.',
    example: '"events": [ { "eid": "START", … } ]',
  },
  ERR_BATCH_UNREADABLE: {
    rule: 'The batch is not a JSON object with an "events" array.',
    fix: 'Put the events into an array named "events".',
    example: '{ "id": "api.sunbird.telemetry", "ver": "3.0", "events": [ … ] }',
  },
  ERR_RECORD_UNREADABLE: {
    rule: 'The record is not a JSON object.',
    fix: 'Write one JSON object per record.',
    example: null,
  },
  ERR_DEDUP_KEY_MISSING: {
    rule: 'The event has no mid, so it cannot be told from a repetition.',
    fix: 'Give each event an id of its own when it is made, and keep it when it is sent again.',
    example: '"mid": crypto.randomUUID()',
  },
  ERR_TIME_INVALID: {
    rule: 'The time of the event (ets) is not a number of milliseconds.',
    fix: 'Send ets as epoch milliseconds, a number without quotes.',
    example: '"ets": Date.now()',
  },
  ERR_JOB_BUG: {
    rule: 'A job failed on this event. That is a fault of Millrace, not of the client.',
    fix: 'Report it with the event and the reason below.',
    example: null,
  },
};

interface Fault {
  readonly pointer: string;
  readonly field: string;
  readonly event: Json;
}

function schemaRule(reason: string, { pointer, field, event }: Fault): Explanation {
  const value = valueAtPointer(event, pointer);
  const name = stepsOf(pointer).at(-1) ?? '';
  const found = value === undefined ? null : shorten(JSON.stringify(value));
  const base = { found, field };
  const wanted = /^must be ((?:an? \w+|null)(?: or (?:an? \w+|null))*)(?:, is (.+))?$/.exec(reason);
  if (reason === 'is required') {
    const example = `"${name}": ${sampleOf(name)}`;
    return { ...base, rule: `${field} is required.`, fix: `Set ${field} before the event is sent.`, example };
  }
  if (reason === 'is not a field that its schema knows') {
    const fix = `Remove ${field}, or move it to where the schema has room for it.`;
    return { ...base, rule: `${field} is not a field that this kind of event has.`, fix, example: null };
  }
  if (wanted !== null) {
    const type = wanted[1]!;
    const example = `"${name}": ${converted(value, type) ?? sampleOf(name)}`;
    const rule = `${field} must be ${type}${wanted[2] === undefined ? '' : `; it is ${wanted[2]}`}.`;
    return { ...base, rule, fix: `Send ${field} as ${type}.`, example };
  }
  if (reason.startsWith('must be one of ')) {
    const first = reason.slice('must be one of '.length).split(', ')[0] ?? '';
    const fix = `Send one of the values that are allowed for ${field}; upper and lower case matter.`;
    return { ...base, rule: `${field} ${reason}.`, fix, example: `"${name}": ${JSON.stringify(first)}` };
  }
  return { ...base, rule: `${field} ${reason}.`, fix: `Correct ${field}.`, example: null };
}

/** `/context/cdata/2/id` as `context.cdata[2].id`. */
export function fieldOf(pointer: string): string {
  return stepsOf(pointer).reduce((path, step) => {
    if (/^\d+$/.test(step) && path !== '') return `${path}[${step}]`;
    if (!/^[\w@$-]+$/.test(step)) return `${path}[${JSON.stringify(step)}]`;
    return path === '' ? step : `${path}.${step}`;
  }, '');
}

/** The value in the type that is wanted, where that loses nothing: a number in quotes becomes a number. */
function converted(value: Json | undefined, type: string): string | null {
  if (/\b(?:number|integer)\b/.test(type) && typeof value === 'string' && value.trim() !== '') {
    return Number.isFinite(Number(value)) ? String(Number(value)) : null;
  }
  if (/\bstring\b/.test(type) && (typeof value === 'number' || typeof value === 'boolean')) {
    return JSON.stringify(String(value));
  }
  if (/\barray\b/.test(type) && value !== undefined) return `[${shorten(JSON.stringify(value))}]`;
  return null;
}

const SAMPLES: Readonly<Record<string, string>> = {
  mid: 'crypto.randomUUID()',
  ets: 'Date.now()',
  ver: '"3.0"',
  eid: '"START"',
  actor: '{ "id": "user-1", "type": "User" }',
  context: '{ "channel": "…", "pdata": { "id": "…", "ver": "…" }, "env": "…" }',
  pdata: '{ "id": "my.app", "pid": "my.app", "ver": "1.0" }',
  edata: '{ … }',
  events: '[ … ]',
};

function sampleOf(name: string): string {
  return SAMPLES[name] ?? '"…"';
}

function shorten(text: string): string {
  return text.length <= 120 ? text : `${text.slice(0, 120)}…`;
}

/** The same pointer for every element of a list, so that rejections that differ only there are one group. */
export function commonPointer(pointer: string | null): string | null {
  return pointer === null ? null : pointer.replace(/\/\d+(?=\/|$)/g, '/*');
}
