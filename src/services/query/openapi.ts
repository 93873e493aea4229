import { INGEST_PATHS } from '../ingest/ingest.ts';
import type { ApiRoute } from './route.ts';
import { SCHEMAS, type SchemaName } from './schemas.ts';

/** The OpenAPI document of the routes and of ingest. */
export function describeApi(routes: readonly ApiRoute[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const path of INGEST_PATHS) paths[path] = { post: ingestOperation(path) };
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Millrace', version, license: { name: 'MIT', identifier: 'MIT' } },
    paths,
    components: {
      schemas: SCHEMAS,
      securitySchemes: {
        operator: { type: 'http', scheme: 'bearer', description: 'The token in the data directory.' },
        ingest: { type: 'http', scheme: 'bearer', description: 'Only where ingest.tokens is set.' },
      },
    },
  };
}

function operation(route: ApiRoute): object {
  const parameters = [
    ...Object.entries(route.params ?? {}).map(([name, description]) => ({
      name,
      in: 'path',
      required: true,
      description,
      schema: { type: 'string' },
    })),
    ...Object.entries(route.query ?? {}).map(([name, { description, ...schema }]) => ({
      name,
      in: 'query',
      required: false,
      description,
      schema,
    })),
  ];
  return {
    operationId: operationId(route.method, route.path),
    summary: route.summary,
    security: route.access === 'open' ? [] : [{ operator: [] }],
    parameters,
    ...(route.body === undefined ? {} : { requestBody: requestBody(route.body) }),
    responses: {
      200: {
        description: route.answer.description,
        content: content(route.answer.type, route.answer.schema),
      },
      default: { description: 'Why it was not done.', content: content('application/json', 'Error') },
    },
  };
}

function requestBody(body: NonNullable<ApiRoute['body']>): object {
  return {
    required: true,
    description: `At most ${body.bytesMax} bytes.`,
    content: content(body.type, body.schema),
  };
}

function ingestOperation(path: string): object {
  const header = (name: string, description: string) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  });
  return {
    operationId: operationId('POST', path),
    summary:
      'Takes in one batch of events; answers once it is durable. Content-Encoding gzip, deflate or br is inflated.',
    security: [{}, { ingest: [] }],
    parameters: [
      header('x-device-id', 'Written into the batch as did.'),
      header('x-channel-id', 'Written into the batch as channel.'),
      header('x-app-id', 'Written into the batch as pid.'),
    ],
    requestBody: { required: true, content: content('application/json', 'Batch') },
    responses: {
      200: { description: 'The batch is durable.', content: content('application/json', 'Envelope') },
      503: {
        description: 'Nothing was stored; try again after Retry-After seconds.',
        content: content('application/json', 'Envelope'),
      },
      default: { description: 'Why nothing was stored.', content: content('application/json', 'Envelope') },
    },
  };
}

function content(type: string, schema: SchemaName): object {
  return { [type]: { schema: { $ref: `#/components/schemas/${schema}` } } };
}

/** `GET /v1/topics/:topic` is `getV1TopicsByTopic`. */
function operationId(method: string, path: string): string {
  const words = path.replace(/\/:(\w)/g, '/by-$1').split(/[^A-Za-z0-9]+/);
  const tail = words.map(word => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
  return method.toLowerCase() + tail;
}
