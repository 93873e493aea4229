import type { StatusDocument } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import { envelopeOf } from '../ingest/envelope.ts';
import { type ApiContext, type ApiRoute, NDJSON } from './route.ts';

/** Routes over the running pipeline, its jobs and its archive. */
export const SYSTEM_ROUTES: readonly ApiRoute[] = [
  {
    method: 'GET',
    path: '/health',
    summary: 'Answers 200 when everything that takes in, processes and keeps events is ready, else 503.',
    access: 'open',
    answer: { type: 'application/json', schema: 'Health', description: 'Everything is ready.' },
    run: health,
  },
  {
    method: 'GET',
    path: '/v1/status',
    summary: 'Tells the state of every component, what each job received and what became of it.',
    access: 'operator',
    answer: { type: 'application/json', schema: 'Status', description: 'The state now.' },
    run: async ({ backend }) => ({ body: await backend.status() }),
  },
  {
    method: 'GET',
    path: '/v1/jobs',
    summary: 'Lists the stream jobs in pipeline order.',
    access: 'operator',
    answer: { type: 'application/json', schema: 'Jobs', description: 'Every job.' },
    run: async ({ backend }) => ({ body: { jobs: backend.jobs() } }),
  },
  {
    method: 'GET',
    path: '/v1/archive/status',
    summary: 'Tells how far each topic is archived.',
    access: 'operator',
    answer: { type: 'application/json', schema: 'ArchiveStatus', description: 'Every archived topic.' },
    run: async ({ backend }) => ({ body: await backend.archiveStatus() }),
  },
  {
    method: 'POST',
    path: '/v1/archive/flush',
    summary: 'Archives every record that is present at the call; answers when that is done.',
    access: 'operator',
    answer: { type: 'application/json', schema: 'ArchiveStatus', description: 'Every archived topic.' },
    run: async ({ backend }) => ({ body: await backend.archiveFlush() }),
  },
  {
    method: 'GET',
    path: '/v1/archive/verify',
    summary: 'Proves from the objects alone that what is archived has no gap, no overlap and no damage.',
    access: 'operator',
    answer: { type: 'application/json', schema: 'ArchiveVerify', description: 'What was found.' },
    run: async ({ backend }) => ({ body: await backend.archiveVerify() }),
  },
  {
    method: 'GET',
    path: '/v1/archive/objects',
    summary: 'Lists the objects of the archive.',
    access: 'operator',
    answer: { type: 'application/json', schema: 'ArchiveObjects', description: 'Every object.' },
    run: async ({ backend }) => ({ body: await backend.archiveObjects() }),
  },
  {
    method: 'GET',
    path: '/v1/archive/object',
    summary: 'Reads one object of the archive, uncompressed.',
    access: 'operator',
    query: { name: { type: 'string', description: 'Name of the object, as listed. Required.' } },
    answer: { type: NDJSON, schema: 'ArchiveLine', description: 'The value of each record, one a line.' },
    run: async ({ backend }, { query }) => {
      const name = query['name'];
      if (typeof name !== 'string' || name === '')
        throw new MillraceError('ERR_REQUEST_INVALID', 'name is missing');
      return { type: NDJSON, body: await backend.archiveRead(name) };
    },
  },
];

/** Degraded components work and need a look: they leave the answer at 200. */
async function health({ backend, nowMs }: ApiContext) {
  const { state, components } = await askStatus(backend);
  const failed = components
    .filter(component => component.state === 'failed')
    .map(component => component.name);
  const isReady = state === 'serving' && failed.length === 0;
  const why = failed.length > 0 ? `failed: ${failed.join(', ')}` : `the pipeline is ${state}`;
  const error = isReady ? null : new MillraceError('ERR_NOT_READY', why);
  return {
    status: error?.httpStatus ?? 200,
    body: { ...envelopeOf('api.health', nowMs(), error), components },
  };
}

/** A store that cannot even be asked is a failed component, and health must say so in its own form. */
async function askStatus(
  backend: ApiContext['backend'],
): Promise<Pick<StatusDocument, 'state' | 'components'>> {
  try {
    return await backend.status();
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    const component = {
      name: 'status',
      adapter: '',
      state: 'failed',
      detail: `${error.code}: ${error.why}`,
    } as const;
    return { state: 'serving', components: [component] };
  }
}
