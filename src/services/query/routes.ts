import { CONSOLE_POLICY, fileAnswer } from './console-files.ts';
import { consoleRoutes } from './console-routes.ts';
import { DATA_ROUTES } from './data-routes.ts';
import { createMetrics } from './metrics.ts';
import { describeApi } from './openapi.ts';
import { operationRoutes } from './operation-routes.ts';
import type { Pulse } from './pulse.ts';
import { type ApiRoute, takesHtml } from './route.ts';
import { SCHEMA_ROUTES } from './schema-routes.ts';
import type { ServerOptions } from './server-options.ts';
import { SYSTEM_ROUTES } from './system-routes.ts';
import { TOPIC_ROUTES } from './topic-routes.ts';

/** The one table of routes: those of the other files, and those that need the whole table or the options. */
export function apiRoutes(
  options: Pick<ServerOptions, 'backend' | 'meter' | 'version' | 'console' | 'operations'>,
  pulse: Pulse,
): readonly ApiRoute[] {
  const metrics = createMetrics(options);
  const own: ApiRoute[] = [
    {
      method: 'GET',
      path: '/',
      summary:
        'Answers the console to a browser, else the list of routes. The operator token as ?token= becomes a cookie.',
      access: 'operator',
      query: { token: { type: 'string', description: 'The operator token.' } },
      answer: { type: 'application/json', schema: 'Index', description: 'Name, version and routes.' },
      run: async (_context, { headers }) =>
        options.console !== undefined && takesHtml(headers)
          ? fileAnswer(options.console.page, String(headers['accept-encoding'] ?? ''), {
              'content-security-policy': CONSOLE_POLICY,
            })
          : { headers: { vary: 'accept, accept-encoding' }, body: index() },
    },
    {
      method: 'GET',
      path: '/version',
      summary: 'Tells the release and the digests of configuration and schemas.',
      access: 'open',
      answer: { type: 'application/json', schema: 'Version', description: 'The version.' },
      run: async ({ backend }) => ({
        body: { ...options.version, schemasDigest: backend.schemas.digest() },
      }),
    },
    {
      method: 'GET',
      path: '/metrics',
      summary: 'Answers the metrics in the text form of Prometheus.',
      access: 'open',
      answer: { type: 'text/plain', schema: 'MetricsText', description: 'The metrics.' },
      run: async () => ({ type: metrics.contentType, body: await metrics.collect() }),
    },
    {
      method: 'GET',
      path: '/openapi.json',
      summary: 'Answers this description.',
      access: 'open',
      answer: { type: 'application/json', schema: 'OpenApi', description: 'The OpenAPI document.' },
      run: async () => ({ body: describeApi(routes, options.version.version) }),
    },
  ];
  const index = () => ({
    name: 'millrace',
    version: options.version.version,
    routes: routes.map(route => `${route.method} ${route.path}`),
  });
  const routes = [
    ...own,
    ...SYSTEM_ROUTES,
    ...TOPIC_ROUTES,
    ...DATA_ROUTES,
    ...SCHEMA_ROUTES,
    ...operationRoutes(options.operations),
    ...consoleRoutes(pulse, options.console),
  ];
  return routes;
}
