import { MillraceError } from '../../core/errors.ts';
import type { ApiRoute } from './route.ts';
import { membersOf } from './upload.ts';

/** A schema may be 1 MiB of text; here it stands inside a document. */
const BODY_BYTES_MAX = 2 * 1024 * 1024;

/** Routes over the schemas of events. */
export const SCHEMA_ROUTES: readonly ApiRoute[] = [
  {
    method: 'GET',
    path: '/v1/schemas',
    summary:
      'Lists every version of every schema of events, the sets that were published, and what each worker uses.',
    access: 'operator',
    answer: { type: 'application/json', schema: 'Schemas', description: 'Every version.' },
    run: async ({ backend }) => ({ body: await backend.schemas.list() }),
  },
  {
    method: 'GET',
    path: '/v1/schemas/:eid',
    summary: 'Shows the published schema of an eid, else its draft, with what it refers to put in.',
    access: 'operator',
    params: { eid: 'The eid, in upper case.' },
    answer: { type: 'application/json', schema: 'Schema', description: 'The version and its schema.' },
    run: async ({ backend }, { params }) => ({ body: backend.schemas.show(params['eid']!) }),
  },
  {
    method: 'POST',
    path: '/v1/schemas',
    summary:
      'Adds a version of a schema; refused where it is not valid, or refuses what the version before accepts.',
    access: 'operator',
    body: { type: 'application/json', schema: 'SchemaAdd', bytesMax: BODY_BYTES_MAX },
    answer: {
      type: 'application/json',
      schema: 'SchemaAdded',
      description: 'The version; not yet published.',
    },
    run: async ({ backend }, { body }) => {
      const { schema, incompatible = false } = membersOf(body, ['schema', 'incompatible']);
      if (schema === undefined) throw new MillraceError('ERR_REQUEST_INVALID', 'the body has no schema');
      if (typeof incompatible !== 'boolean')
        throw new MillraceError('ERR_REQUEST_INVALID', 'incompatible is not true or false');
      return { body: await backend.schemas.add(schema, incompatible) };
    },
  },
  {
    method: 'POST',
    path: '/v1/schemas/publish',
    summary:
      'Makes every added version, or an earlier set, current in each worker; answers with what they then use.',
    access: 'operator',
    body: { type: 'application/json', schema: 'SchemaPublish', bytesMax: BODY_BYTES_MAX },
    answer: { type: 'application/json', schema: 'SchemasPublished', description: 'What is current now.' },
    run: async ({ backend }, { body }) => {
      const { digest } = membersOf(body, ['digest']);
      if (digest !== undefined && (typeof digest !== 'string' || !/^[0-9a-f]{8,64}$/.test(digest)))
        throw new MillraceError('ERR_REQUEST_INVALID', 'digest is not 8 to 64 hexadecimal digits');
      return { body: await backend.schemas.publish(digest) };
    },
  },
];
