import { MillraceError } from '../../core/errors.ts';
import type { Json } from '../../core/event.ts';
import type { OperationsApi } from './operations-api.ts';
import { type ApiRequest, type ApiRoute, NDJSON } from './route.ts';
import { membersOf } from './upload.ts';

const BODY_BYTES_MAX = 64 * 1024;
const PATHS_MAX = 64;
const RECEIPTS_MAX = 1000;
const RUN_LINES = { type: NDJSON, schema: 'RunLine', description: 'Events, then the summary.' } as const;
const PATHS = {
  path: { type: 'string', description: 'Paths as the command line takes them, comma list; none: all.' },
} as const;

/** Routes over the operations; they all need the token. */
export function operationRoutes(api: OperationsApi | undefined): readonly ApiRoute[] {
  const there = (): OperationsApi => {
    if (api !== undefined) return api;
    throw new MillraceError('ERR_NOT_FOUND', 'operations are not offered by this process');
  };
  return [...readRoutes(there), ...runRoutes(there)];
}

function readRoutes(there: () => OperationsApi): readonly ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/v1/operations',
      summary: "Lists the operations of the original's sequence with their state.",
      access: 'operator',
      answer: { type: 'application/json', schema: 'Operations', description: 'Every operation.' },
      run: async () => ({ body: await there().list() }),
    },
    {
      method: 'GET',
      path: '/v1/operation',
      summary: "Describes one operation: needs, changes, and what became of the original's parameters.",
      access: 'operator',
      query: { path: { type: 'string', description: 'Its path, as the command line takes it. Required.' } },
      answer: { type: 'application/json', schema: 'OperationDescription', description: 'The operation.' },
      run: async (_context, request) => {
        const [path, ...more] = pathsOf(request);
        if (path === undefined || more.length > 0) {
          throw new MillraceError('ERR_REQUEST_INVALID', 'path must name one operation');
        }
        return { body: await there().describe(path) };
      },
    },
    {
      method: 'GET',
      path: '/v1/plan',
      summary: 'Tells exactly what a run would do; changes nothing.',
      access: 'operator',
      query: PATHS,
      answer: { type: 'application/json', schema: 'Plan', description: 'The plan.' },
      run: async (_context, request) => ({ body: await there().plan(pathsOf(request)) }),
    },
    {
      method: 'GET',
      path: '/v1/receipts',
      summary: 'Tells what operations did, newest first.',
      access: 'operator',
      query: {
        ...PATHS,
        limit: {
          type: 'integer',
          minimum: 1,
          maximum: RECEIPTS_MAX,
          default: 100,
          description: 'Most receipts and most runs of the answer.',
        },
      },
      answer: { type: 'application/json', schema: 'Receipts', description: 'Receipts and runs.' },
      run: async (_context, request) => ({
        body: await there().receipts(pathsOf(request), Number(request.query['limit'])),
      }),
    },
    {
      method: 'GET',
      path: '/v1/doctor',
      summary: 'Checks machine, configuration, data and the running environment.',
      access: 'operator',
      answer: { type: 'application/json', schema: 'Checks', description: 'Every check with its remedy.' },
      run: async () => ({ body: await there().doctor() }),
    },
  ];
}

function runRoutes(there: () => OperationsApi): readonly ApiRoute[] {
  return [
    {
      method: 'POST',
      path: '/v1/run',
      summary: 'Runs operations with what they need; answers line by line as it goes on.',
      access: 'operator',
      body: { type: 'application/json', schema: 'RunRequest', bytesMax: BODY_BYTES_MAX },
      answer: RUN_LINES,
      run: async (_context, { body }) => ({ type: NDJSON, body: await there().run(requestOf(body)) }),
    },
    {
      method: 'POST',
      path: '/v1/undo',
      summary: 'Takes one operation back, where nothing that serves uses it; answers line by line, as a run.',
      access: 'operator',
      body: { type: 'application/json', schema: 'UndoRequest', bytesMax: BODY_BYTES_MAX },
      answer: RUN_LINES,
      run: async (_context, { body }) => ({ type: NDJSON, body: await there().undo(undoRequestOf(body)) }),
    },
    {
      method: 'GET',
      path: '/v1/run',
      summary: 'Tells which run was started here last, and whether it goes on.',
      access: 'operator',
      answer: { type: 'application/json', schema: 'RunState', description: 'The run.' },
      run: async () => ({ body: there().state() }),
    },
    {
      method: 'GET',
      path: '/v1/run/log',
      summary: 'Answers the lines of that run from the first on, and goes on until it ends.',
      access: 'operator',
      isEndless: true,
      answer: RUN_LINES,
      run: async () => ({ type: NDJSON, body: there().log() }),
    },
    {
      method: 'POST',
      path: '/v1/run/cancel',
      summary: 'Cancels the run that was started here, at the next boundary of a step.',
      access: 'operator',
      answer: { type: 'application/json', schema: 'Cancelled', description: 'False where none is underway.' },
      run: async () => ({ body: { cancelled: there().cancel() } }),
    },
  ];
}

function pathsOf({ query }: ApiRequest): readonly string[] {
  const text = query['path'];
  return typeof text === 'string' ? text.split(',').filter(path => path !== '') : [];
}

function undoRequestOf(body: Buffer) {
  const { path, confirm } = membersOf(body, ['path', 'confirm']);
  if (typeof path !== 'string' || path === '') {
    throw new MillraceError('ERR_REQUEST_INVALID', 'path must name one operation');
  }
  return { path, confirm: confirmOf(confirm) };
}

function requestOf(body: Buffer) {
  const { paths, jobs = [], only = false, confirm } = membersOf(body, ['paths', 'jobs', 'only', 'confirm']);
  if (!isTexts(paths) || paths.length === 0) {
    throw new MillraceError('ERR_REQUEST_INVALID', `paths must be 1 to ${PATHS_MAX} texts`);
  }
  if (!isTexts(jobs)) throw new MillraceError('ERR_REQUEST_INVALID', 'jobs must be a list of texts');
  // Taken for false, it would put in place what was not to be touched.
  if (typeof only !== 'boolean') throw new MillraceError('ERR_REQUEST_INVALID', 'only must be true or false');
  return { paths, jobs, only, confirm: confirmOf(confirm) };
}

function confirmOf(confirm: Json | undefined): string | undefined {
  if (confirm === undefined || typeof confirm === 'string') return confirm;
  throw new MillraceError('ERR_REQUEST_INVALID', 'confirm must be a text');
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= PATHS_MAX && value.every(text => typeof text === 'string');
}
