import { createHash } from 'node:crypto';
import type { JsonObject } from '../core/event.ts';

/** Numbers from 0 to 1 (1 not included); the same seed gives the same ones. */
type Dice = () => number;

/** One person's use of an app: what all events of a batch share. */
interface Session {
  readonly actor: JsonObject;
  readonly context: JsonObject;
  readonly content: JsonObject;
}

/** What is made up. */
export interface SampleOptions {
  /** The same seed and times give the same events. */
  readonly seed: number;
  /** Events in a batch. */
  readonly batchEvents: number;
  /** The time of a batch's last event, asked once for each batch; epoch ms. */
  readonly nowMs: () => number;
}

/**
 * Endless made-up batches in the form client SDKs send them: each the events of one session, valid against
 * the shipped schemas, with ids that do not repeat within a seed.
 */
export function* sampleBatches(options: SampleOptions): Generator<JsonObject> {
  const dice = rollDice(options.seed);
  for (let batch = 0; ; batch++) {
    const nowMs = options.nowMs();
    const session = makeSession(dice, options.seed, batch);
    const events: JsonObject[] = [];
    for (let index = 0; index < options.batchEvents; index++) {
      const etsMs = nowMs - (options.batchEvents - 1 - index) * 700;
      events.push(makeEvent(session, dice, { etsMs, mid: idOf(options.seed, 'event', batch, index) }));
    }
    const msgid = idOf(options.seed, 'batch', batch);
    yield { id: 'api.sunbird.telemetry', ver: '3.0', ets: nowMs, params: { msgid }, events };
  }
}

/** Event types with their share of the whole and their payload. */
const KINDS: readonly (readonly [eid: string, weight: number, edata: (dice: Dice) => JsonObject])[] = [
  [
    'IMPRESSION',
    30,
    dice => ({
      type: pick(dice, ['list', 'detail', 'view', 'search']),
      pageid: page(dice),
      uri: `/${page(dice)}`,
    }),
  ],
  [
    'INTERACT',
    30,
    dice => ({ type: 'TOUCH', subtype: 'click', id: `${page(dice)}-button`, pageid: page(dice) }),
  ],
  ['START', 8, dice => ({ type: 'session', mode: 'play', pageid: page(dice), duration: round(dice() * 2) })],
  ['END', 8, dice => ({ type: 'session', mode: 'play', pageid: page(dice), duration: round(dice() * 600) })],
  ['ASSESS', 6, assessData],
  [
    'RESPONSE',
    3,
    dice => ({
      target: { id: `question-${whole(dice, 50)}`, ver: '1', type: 'AssessmentItem' },
      type: 'CHOOSE',
      values: [{ answer: whole(dice, 4) }],
    }),
  ],
  [
    'SEARCH',
    4,
    dice => ({
      type: 'content',
      query: pick(dice, ['fractions', 'water cycle', 'poem']),
      size: whole(dice, 90),
      filters: {},
      sort: {},
      topn: [{ identifier: contentId(dice) }],
    }),
  ],
  [
    'SHARE',
    2,
    dice => ({ dir: 'Out', type: 'Link', items: [{ id: contentId(dice), type: 'Content', ver: '1' }] }),
  ],
  ['FEEDBACK', 2, dice => ({ rating: 1 + whole(dice, 5), comments: '' })],
  ['INTERRUPT', 2, dice => ({ type: pick(dice, ['background', 'resume']), pageid: page(dice) })],
  ['AUDIT', 2, () => ({ props: ['framework'], state: 'Updated', prevstate: 'Created' })],
  [
    'LOG',
    2,
    dice => ({
      type: 'api_access',
      level: 'INFO',
      message: 'content read',
      params: [{ status: 200, durationMs: whole(dice, 900) }],
    }),
  ],
  [
    'ERROR',
    1,
    dice => ({ err: 'E_LOAD', errtype: 'CONTENT', stacktrace: 'load failed', pageid: page(dice) }),
  ],
];

/** As many cards of each kind as its share. */
const DECK = KINDS.flatMap(kind => Array.from({ length: kind[1] }, () => kind));

function makeEvent(
  session: Session,
  dice: Dice,
  at: { readonly etsMs: number; readonly mid: string },
): JsonObject {
  const [eid, , edata] = pick(dice, DECK);
  const { actor, context, content } = session;
  return {
    eid,
    ets: at.etsMs,
    ver: '3.0',
    mid: at.mid,
    actor,
    context,
    object: content,
    edata: edata(dice),
    tags: [],
  };
}

function makeSession(dice: Dice, seed: number, batch: number): Session {
  // A few hundred people and devices, so that counts by either look like something.
  const person = whole(dice, 400);
  const app = pick(dice, ['sunbird.portal', 'sunbird.app', 'sunbird.desktop']);
  const id = contentId(dice);
  return {
    actor: { id: idOf(0, 'user', person), type: 'User' },
    context: {
      channel: pick(dice, ['0123221617357783046602', '01269878797503692810', '01275678925675724817']),
      pdata: { id: `local.${app}`, pid: app, ver: '5.1.0' },
      env: pick(dice, ['home', 'explore', 'contentplayer']),
      sid: idOf(seed, 'session', batch),
      did: createHash('sha1').update(`device ${person}`).digest('hex'),
      cdata: [],
      rollup: { l1: '0123221617357783046602' },
    },
    content: { id, type: 'Content', ver: '1', rollup: { l1: `do_31${1000 + (person % 9)}`, l2: id } },
  };
}

function assessData(dice: Dice): JsonObject {
  const right = dice() < 0.6;
  return {
    item: {
      id: `do_32${whole(dice, 50)}`,
      maxscore: 1,
      type: 'mcq',
      title: 'Which is right?',
      exlength: 0,
      params: [],
      uri: '',
      desc: '',
      mmc: [],
      mc: [],
    },
    index: 1 + whole(dice, 10),
    pass: right ? 'Yes' : 'No',
    score: right ? 1 : 0,
    resvalues: [{ answer: String(whole(dice, 4)) }],
    duration: round(dice() * 40),
  };
}

function page(dice: Dice): string {
  return pick(dice, ['home', 'library', 'course', 'profile', 'content-detail']);
}

function contentId(dice: Dice): string {
  return `do_31${100_000 + whole(dice, 300)}`;
}

function pick<T>(dice: Dice, values: readonly T[]): T {
  return values[whole(dice, values.length)]!;
}

/** 0 to `below`, which is not included. */
function whole(dice: Dice, below: number): number {
  return Math.floor(dice() * below);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** A UUID made of names: version 8 (free form, RFC 9562), so that nobody takes it for a random one. */
function idOf(...names: readonly (string | number)[]): string {
  const hex = createHash('sha256').update(names.join(' ')).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** A linear congruential generator of 32 bits with a mixed output: good enough to look varied. */
function rollDice(seed: number): Dice {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x45d9f3b) >>> 0;
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}
