import type { EventFilter } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import { READABLE_RELATIONS, RELATIONS } from '../../core/relations.ts';
import { type ConsoleFiles, fileAnswer } from './console-files.ts';
import type { Pulse } from './pulse.ts';
import type { ApiRoute } from './route.ts';

const TIMES = {
  fromMs: { type: 'integer', minimum: 0, description: 'First time of receipt, epoch ms UTC, inclusive.' },
  toMs: { type: 'integer', minimum: 0, description: 'Last time of receipt, epoch ms UTC, exclusive.' },
} as const;
/** Samples of one call: about 25 batches. */
const SAMPLES_MAX = 500;

/** Routes that the console lives on; scripts may use them as well. */
export function consoleRoutes(pulse: Pulse, files: ConsoleFiles | undefined): readonly ApiRoute[] {
  return [streamRoute(pulse), assetRoute(files), ...EVENT_ROUTES, SAMPLE_ROUTE, RELATIONS_ROUTE];
}

function streamRoute(pulse: Pulse): ApiRoute {
  return {
    method: 'GET',
    path: '/v1/stream',
    summary:
      'Sends status, topics, sizes and ingest figures as server-sent events, once a second, until either side ends it.',
    access: 'operator',
    isEndless: true,
    answer: { type: 'text/event-stream', schema: 'Pulse', description: 'The data of each event.' },
    run: async () => ({ type: 'text/event-stream; charset=utf-8', body: pulse.listen() }),
  };
}

function assetRoute(files: ConsoleFiles | undefined): ApiRoute {
  return {
    method: 'GET',
    path: '/assets/:file',
    summary:
      'Answers a file of the console; its name holds the hash of its content, so it may be kept for ever.',
    access: 'operator',
    params: { file: 'Name of the file, as the page names it.' },
    answer: { type: 'text/plain', schema: 'AssetText', description: 'The file.' },
    run: async (_context, { params, headers }) => {
      const file = files?.assets.get(params['file']!);
      if (file === undefined) throw new MillraceError('ERR_NOT_FOUND', `no file ${params['file']}`);
      return fileAnswer(file, String(headers['accept-encoding'] ?? ''), {
        'cache-control': 'private, max-age=31536000, immutable',
      });
    },
  };
}

const EVENT_ROUTES: readonly ApiRoute[] = [
  {
    method: 'GET',
    path: '/v1/events',
    summary: 'Finds events wherever they ended, newest first; every filter that is given must match exactly.',
    access: 'operator',
    query: {
      mid: { type: 'string', description: 'Id of the event.' },
      did: { type: 'string', description: 'Id of the device.' },
      channel: { type: 'string', description: 'Channel of the event.' },
      eid: { type: 'string', description: 'Kind of event.' },
      user: { type: 'string', description: 'Id of the user.' },
      outcome: { type: 'string', description: 'One of emit, reject, drop, duplicate.' },
      ...TIMES,
      limit: {
        type: 'integer',
        minimum: 1,
        maximum: 1000,
        default: 100,
        description: 'Most rows of the answer.',
      },
      after: { type: 'string', description: 'The next of the answer that this one continues.' },
    },
    answer: {
      type: 'application/json',
      schema: 'Events',
      description:
        'The rows; next continues them, also after a page without rows: a call looks at 10,000 of each relation.',
    },
    run: async ({ backend }, { query }) => ({ body: await backend.events(filterOf(query)) }),
  },
  {
    method: 'GET',
    path: '/v1/events/:id',
    summary: 'Shows one event with its record.',
    access: 'operator',
    params: { id: 'The id of the row, as found.' },
    answer: { type: 'application/json', schema: 'Event', description: 'The row, the cause and the event.' },
    run: async ({ backend }, { params }) => ({ body: await backend.event(params['id']!) }),
  },
];

const SAMPLE_ROUTE: ApiRoute = {
  method: 'POST',
  path: '/v1/sample',
  summary: 'Sends made-up valid events through ingest; answers once they are durable.',
  access: 'operator',
  query: {
    count: {
      type: 'integer',
      minimum: 1,
      maximum: SAMPLES_MAX,
      default: 100,
      description: 'How many events.',
    },
  },
  answer: { type: 'application/json', schema: 'Sampled', description: 'How many events were accepted.' },
  run: async ({ backend }, { query }) => ({
    body: { accepted: await backend.sample(Number(query['count'])) },
  }),
};

const RELATIONS_ROUTE: ApiRoute = {
  method: 'GET',
  path: '/v1/relations',
  summary: 'Lists what SQL may read, with the columns.',
  access: 'operator',
  answer: { type: 'application/json', schema: 'Relations', description: 'Every relation.' },
  run: async () => ({ body: { relations: READABLE_RELATIONS.map(describeRelation) } }),
};

/** Columns of the views and lists that are no stored relation of events. */
const OTHER_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  summaries: RELATIONS.events,
  archive_objects: [
    'object',
    'topic',
    'partition',
    'from_offset',
    'to_offset',
    'date',
    'records',
    'size_bytes',
  ],
};

function describeRelation(relation: string) {
  const stored: Readonly<Record<string, readonly string[]>> = RELATIONS;
  return { relation, columns: stored[relation] ?? OTHER_COLUMNS[relation] ?? [] };
}

const OUTCOMES: readonly string[] = ['emit', 'reject', 'drop', 'duplicate'];

function filterOf(query: Readonly<Record<string, string | number | undefined>>): EventFilter {
  const { outcome } = query;
  if (outcome !== undefined && !OUTCOMES.includes(String(outcome))) {
    throw new MillraceError('ERR_REQUEST_INVALID', `outcome is not one of ${OUTCOMES.join(', ')}`);
  }
  // The declared types were checked; what is absent or empty must be absent, not undefined.
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined && value !== ''));
}
