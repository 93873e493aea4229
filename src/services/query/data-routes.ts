import type { FailedFilter } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import { isObject, type JsonObject, textOf, valueAt } from '../../core/event.ts';
import { DATASETS, type Dataset, rowKeyOf } from '../../core/job.ts';
import { linesOf } from './lines.ts';
import { type ApiRequest, type ApiRoute, NDJSON } from './route.ts';
import { parseBody } from './upload.ts';

const MIB = 1024 * 1024;
const DATASET = { dataset: `One of ${DATASETS.join(', ')}.` };

/** Routes over events, failures, tables and master data. */
export const DATA_ROUTES: readonly ApiRoute[] = [
  {
    method: 'GET',
    path: '/v1/trace/:mid',
    summary:
      'Tells the whole path of an event: every arrival, each stage with its verdict, and where it was archived.',
    access: 'operator',
    params: { mid: 'The mid of the event.' },
    answer: {
      type: 'application/json',
      schema: 'Trace',
      description: 'What is known; 404 where that is nothing.',
    },
    run: async ({ backend }, { params }) => {
      const trace = await backend.trace(params['mid']!);
      if (trace.sightings.length === 0)
        throw new MillraceError('ERR_NOT_FOUND', `no event with mid ${params['mid']}`, {
          remedy:
            'Check the mid, and that its batch was answered 200: one that was refused is stored nowhere. What was ' +
            'accepted is found within seconds, until retention removes it.',
        });
      return { body: trace };
    },
  },
  {
    method: 'GET',
    path: '/v1/failed',
    summary: 'Lists rejected events with their reasons.',
    access: 'operator',
    query: {
      code: { type: 'string', description: 'Only this error code.' },
      job: { type: 'string', description: 'Only what this job rejected.' },
      fromMs: { type: 'integer', minimum: 0, description: 'First time, epoch ms UTC, inclusive.' },
      toMs: { type: 'integer', minimum: 0, description: 'Last time, epoch ms UTC, exclusive.' },
      limit: {
        type: 'integer',
        minimum: 1,
        maximum: 1000,
        default: 100,
        description: 'Most rows of the answer.',
      },
      after: { type: 'string', description: 'The next of the answer that this one continues.' },
    },
    answer: { type: 'application/json', schema: 'FailedList', description: 'The rows; next continues them.' },
    run: async ({ backend }, { query }) => ({ body: await backend.failed(filterOf(query)) }),
  },
  {
    method: 'GET',
    path: '/v1/failed/:id',
    summary: 'Shows one rejected event as it was set aside.',
    access: 'operator',
    params: { id: 'The id of the row: topic:partition:offset.' },
    answer: { type: 'application/json', schema: 'FailedEvent', description: 'The row and the event.' },
    run: async ({ backend }, { params }) => ({ body: await backend.failedEvent(params['id']!) }),
  },
  {
    method: 'POST',
    path: '/v1/query',
    summary: 'Runs one read-only SQL statement over events, summaries, failures and duplicates.',
    access: 'operator',
    body: { type: 'application/json', schema: 'QueryRequest', bytesMax: MIB },
    answer: {
      type: 'application/json',
      schema: 'QueryResult',
      description: 'Columns and rows; truncated at query.rowsMax.',
    },
    run: async ({ backend }, { body }) => {
      const sql = textOf(valueAt(parseBody(body), 'sql'));
      if (sql === undefined) throw new MillraceError('ERR_REQUEST_INVALID', 'the body has no text sql');
      return { body: await backend.query(sql) };
    },
  },
  {
    method: 'POST',
    path: '/v1/cache/:dataset',
    summary: 'Loads master data, all lines or none; answers once the jobs see them.',
    access: 'operator',
    params: DATASET,
    body: { type: NDJSON, schema: 'CacheLine', bytesMax: 64 * MIB },
    answer: { type: 'application/json', schema: 'Loaded', description: 'How many rows were loaded.' },
    run: async ({ backend }, { params, body }) => {
      const dataset = datasetOf(params);
      const rows = linesOf(body)
        .map(cacheRow)
        .map(({ key, value }) => ({ key: rowKeyOf(dataset, key), value }));
      if (rows.length > 0) await backend.cachePut(dataset, rows);
      return { body: { loaded: rows.length } };
    },
  },
  {
    method: 'GET',
    path: '/v1/cache/:dataset/:key',
    summary: 'Shows one row of master data.',
    access: 'operator',
    params: { ...DATASET, key: 'The bare id; of a dialcode in either case.' },
    answer: { type: 'application/json', schema: 'CacheRow', description: 'The row.' },
    run: async ({ backend }, { params }) => {
      const dataset = datasetOf(params);
      return { body: await backend.cacheGet(dataset, rowKeyOf(dataset, params['key']!)) };
    },
  },
];

function filterOf(query: ApiRequest['query']): FailedFilter {
  // The declared types were checked; what is absent must be absent, not undefined.
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}

function datasetOf(params: ApiRequest['params']): Dataset {
  const dataset = DATASETS.find(name => name === params['dataset']);
  if (dataset === undefined)
    throw new MillraceError(
      'ERR_NOT_FOUND',
      `no dataset ${params['dataset']}; there are ${DATASETS.join(', ')}`,
    );
  return dataset;
}

function cacheRow(line: { readonly number: number; readonly bytes: Buffer }): {
  key: string;
  value: JsonObject;
} {
  const refuse = (why: string) => new MillraceError('ERR_REQUEST_INVALID', `line ${line.number}: ${why}`);
  let row: unknown;
  try {
    row = parseBody(line.bytes);
  } catch (error) {
    throw error instanceof MillraceError ? refuse(error.why) : error;
  }
  if (!isObject(row)) throw refuse('it is not a JSON object');
  const key = textOf(valueAt(row, 'key'));
  const value = valueAt(row, 'value');
  if (key === undefined) throw refuse('key is not a text');
  if (!isObject(value)) throw refuse('value is not an object');
  return { key, value };
}
