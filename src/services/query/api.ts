import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { MillraceError } from '../../core/errors.ts';
import { createTokenCheck, type TokenCheck } from '../ingest/bearer.ts';
import { RETRY_AFTER_S } from '../ingest/envelope.ts';
import { createGate, type Gate } from '../ingest/gate.ts';
import { cookieHeader, refuseStranger } from './access.ts';
import { signInPage } from './console-files.ts';
import { refuseForeign } from './origin.ts';
import { createPulse } from './pulse.ts';
import { type ApiAnswer, type ApiRequest, type ApiRoute, NDJSON, takesHtml } from './route.ts';
import { apiRoutes } from './routes.ts';
import { HEADER_BYTES_MAX, type ServerOptions } from './server-options.ts';
import { readUpload } from './upload.ts';

/** The API without a listener. */
export interface Api {
  /** Answers one request of `node:http`. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Ends the answers that have no end of their own; a drain would wait for them. */
  endStreams(): void;
  close(): Promise<void>;
}

/** What the API is made with; the port is known only once the server listens. */
export interface ApiOptions extends ServerOptions {
  ownPort(): number;
}

/** Registers every route of the table, and 405 on the methods that a path of the table does not take. */
export async function createApi(options: ApiOptions): Promise<Api> {
  const app = fastify({
    routerOptions: { maxParamLength: PARAM_CHARACTERS_MAX },
    // A repeated or misspelt parameter is refused, not guessed at.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true, allErrors: false } },
    return503OnClosing: false,
    frameworkErrors: (error, _request, reply) => answerError(reply, asMillraceError(error, options)),
  });
  const isKnown = createTokenCheck([options.token]);
  const pulse = createPulse(options);
  const routes = apiRoutes(options, pulse);
  // Bodies are read by the route that takes one, after its checks: fastify's parsers are not used.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    const own = { port: options.ownPort(), allowedHosts: options.config['http.allowedHosts'] };
    const refusal = refuseForeign(request.headers, own);
    if (refusal !== null) throw refusal;
  });
  app.setErrorHandler((error, _request, reply) => answerError(reply, asMillraceError(error, options)));
  app.setNotFoundHandler((request, reply) => {
    answerError(
      reply,
      new MillraceError('ERR_NOT_FOUND', `no route ${request.method} ${pathOf(request.url)}`),
    );
  });
  const uploads = createGate(UPLOADS_MAX);
  for (const route of routes) register(app, route, { options, isKnown, uploads });
  refuseOtherMethods(app, routes);
  await app.ready();
  return {
    handle: (request, response) => app.routing(request, response),
    endStreams: () => pulse.close(),
    close: () => app.close(),
  };
}

/** Longest path parameter: any that the headers' bound lets in, as a mid or key may be long. */
const PARAM_CHARACTERS_MAX = HEADER_BYTES_MAX;
/** Uploads of lines at once: each holds up to its route's bytesMax in memory until it is stored. */
const UPLOADS_MAX = 2;

const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};

interface Registration {
  readonly options: ApiOptions;
  readonly isKnown: TokenCheck;
  readonly uploads: Gate;
}

function register(app: FastifyInstance, route: ApiRoute, { options, isKnown, uploads }: Registration): void {
  const limits = {
    refusedBytesMax: options.config['ingest.refusedBytesMax'],
    msMax: options.config['ingest.requestMsMax'],
  };
  app.route<{ Params: Record<string, string>; Querystring: ApiRequest['query'] }>({
    method: route.method,
    url: route.path,
    exposeHeadRoute: route.isEndless !== true,
    schema: { querystring: { type: 'object', properties: route.query ?? {}, additionalProperties: false } },
    onRequest: async (request, reply) => {
      if (route.access === 'open') return;
      const asked = route.path === '/' ? tokenParameter(request.query) : undefined;
      if (isKnown(asked)) {
        // The URL that is printed at start-up: the token moves into a cookie and out of the address.
        return reply.header('set-cookie', cookieHeader(options.token)).redirect('/', 303);
      }
      const refusal = refuseStranger(request.headers, isKnown, asked);
      if (refusal === null) return;
      if (route.path !== '/' || !takesHtml(request.headers)) throw refusal;
      const page = signInPage(asked !== undefined);
      return reply.code(401).header('vary', 'accept').type('text/html; charset=utf-8').send(page);
    },
    handler: async (request, reply) => {
      const run = (body: Buffer) =>
        route.run(options, {
          params: request.params,
          query: request.query,
          body,
          headers: request.headers,
        });
      const takes = route.body;
      if (takes === undefined) return send(reply, await run(EMPTY));
      const work = async () => run(await readUpload(request.raw, takes, limits));
      return send(reply, await (takes.type === NDJSON ? uploads.run(work) : work()));
    },
  });
}

const EMPTY = Buffer.alloc(0);

function tokenParameter({ token }: ApiRequest['query']): string | undefined {
  return typeof token === 'string' ? token : undefined;
}

function send(reply: FastifyReply, { status = 200, type, headers = {}, body }: ApiAnswer): FastifyReply {
  reply.code(status).headers(headers);
  if (status === 503) reply.header('retry-after', RETRY_AFTER_S);
  if (type !== undefined) return reply.type(type).send(body);
  return reply.type('application/json; charset=utf-8').send(JSON.stringify(body));
}

/** Answers an error in the form of every API route. */
function answerError(reply: FastifyReply, error: MillraceError): void {
  const { httpStatus } = error;
  reply.headers(SECURITY_HEADERS).code(httpStatus).type('application/json; charset=utf-8');
  if (httpStatus === 503) reply.header('retry-after', RETRY_AFTER_S);
  if (httpStatus === 401) reply.header('www-authenticate', 'Bearer');
  reply.send(JSON.stringify({ error: error.toDocument() }));
}

/** What a route, a check of fastify's or the backend threw, as an error that can be answered. */
function asMillraceError(error: unknown, { onBug }: Pick<ServerOptions, 'onBug'>): MillraceError {
  if (error instanceof MillraceError) return error;
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
  if (error instanceof Error && status >= 400 && status < 500) {
    return new MillraceError('ERR_REQUEST_INVALID', error.message, { cause: error });
  }
  onBug(error);
  return new MillraceError('ERR_INTERNAL', 'see the log', { cause: error });
}

function refuseOtherMethods(app: FastifyInstance, routes: readonly ApiRoute[]): void {
  for (const url of new Set(routes.map(route => route.path))) {
    const here = routes.filter(route => route.path === url);
    const taken = here.map(route => route.method);
    const hasHead = here.some(route => route.method === 'GET' && route.isEndless !== true);
    const allowed = hasHead ? ['HEAD', ...taken] : taken;
    app.route({
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].filter(
        method => !allowed.includes(method),
      ),
      url,
      handler: (request, reply) => {
        const why = `${request.method} on ${url}; it takes ${allowed.join(', ')}`;
        reply.header('allow', allowed.join(', '));
        answerError(reply, new MillraceError('ERR_METHOD_NOT_ALLOWED', why));
      },
    });
  }
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? url;
}
