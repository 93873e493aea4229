import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ValidateFunction } from 'ajv';
import ajvDraft04 from 'ajv-draft-04';
import type { Json, JsonObject } from '../../src/core/event.ts';
import { isObject } from '../../src/core/event.ts';
import { depsOf, fixture, verdictOf } from './run-job.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(
  process.env['MILLRACE_SHARED_DATA'] ?? join(ROOT, '../shared/data'),
  'telemetry-schemas-3.0',
);
const EIDS = [
  ...['start', 'end', 'impression', 'interact', 'assess', 'response', 'interrupt', 'feedback', 'share'],
  ...['audit', 'error', 'heartbeat', 'log', 'search', 'exdata'],
];
const EVENTS = 6000;

type Tree = { [key: string]: unknown } | unknown[];

/** The published schemas as they are, references by their addresses; only inner ids, which repeat, are taken out. */
function publishedSchemas(): (eid: string) => ValidateFunction {
  const ajv = new ajvDraft04.default({ strict: false, validateFormats: false, logger: false });
  for (const file of readdirSync(FOLDER)) {
    const text = readFileSync(join(FOLDER, file), 'utf8');
    const schema: unknown = JSON.parse(text, (key, value: unknown) =>
      key === 'id' && typeof value === 'string' ? undefined : value,
    );
    ajv.addSchema(schema as JsonObject, `http://localhost:7070/schemas/3.0/${file}`);
  }
  return eid => {
    const validate = ajv.getSchema(`http://localhost:7070/schemas/3.0/${eid}.json`);
    assert.ok(validate !== undefined, eid);
    return validate;
  };
}

/** A small generator of numbers (mulberry32), so that one seed repeats the run on every machine. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) % below;
  };
}

const NAMES = [
  'id',
  'type',
  'ver',
  'params',
  'l1',
  'extra',
  'pid',
  'rollup',
  'cdata',
  'surplus',
  'eid',
  'subtype',
];
const VALUES: readonly Json[] = [
  ...[null, true, 0, -1, -1.5, 7, '', 'x', '3.0', 'END', [], {}, [1], ['x'], [{}], [{ id: 'x', type: 'y' }]],
  ...[{ id: 'x' }, { id: 'x', type: 'y', ver: '1' }, { l1: 1 }, [null], [[]], { items: [] }],
];

/** Every object and array of the event, the event itself first. */
function placesOf(tree: Tree): readonly Tree[] {
  const inner = Object.values(tree).filter(value => typeof value === 'object' && value !== null) as Tree[];
  return [tree, ...inner.flatMap(placesOf)];
}

function mutate(event: Tree, random: (below: number) => number): void {
  const places = placesOf(event);
  const place = places[random(places.length)] as { [key: string]: unknown };
  const keys = Object.keys(place);
  const key = keys.length > 0 && random(4) > 0 ? keys[random(keys.length)]! : NAMES[random(NAMES.length)]!;
  if (random(4) === 0) delete place[key];
  else if (!Array.isArray(place) || /^\d+$/.test(key))
    place[key] = structuredClone(VALUES[random(VALUES.length)]);
  else place.push(structuredClone(VALUES[random(VALUES.length)]));
}

test('the same verdict as the published schemas, on events with up to three changes', {
  skip: existsSync(FOLDER) ? false : 'needs the published schemas: set MILLRACE_SHARED_DATA to their folder',
}, t => {
  const seed = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`seed ${seed}: MILLRACE_TEST_SEED=${seed} repeats it`);
  const random = randomOf(seed);
  const published = publishedSchemas();
  const { schemas } = depsOf();
  const valid = EIDS.map(eid => [eid, fixture(`valid/${eid}.json`)] as const);
  let accepted = 0;
  for (let n = 0; n < EVENTS; n += 1) {
    const [eid, event] = valid[n % valid.length]!;
    const changed = structuredClone(event) as Tree;
    for (let changes = n < EIDS.length ? 0 : 1 + random(3); changes > 0; changes -= 1)
      mutate(changed, random);
    if (!isObject(changed) || String(changed['eid']).toLowerCase() !== eid) continue;
    const isValid = published(eid)(changed);
    const violation = verdictOf(schemas, changed);
    assert.equal(violation === null, isValid, `${JSON.stringify(changed)}\n${JSON.stringify(violation)}`);
    if (isValid) accepted += 1;
  }
  t.diagnostic(`${accepted} of ${EVENTS} events were valid`);
  assert.ok(accepted > EVENTS / 10 && accepted < (EVENTS * 9) / 10, 'the changes reach both verdicts');
});
