import { once } from 'node:events';
import { createServer as createHttpServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { isLoopback } from '../../config/loopback.ts';
import type { Config } from '../../config/options.ts';
import { assert, MillraceError } from '../../core/errors.ts';
import { matchesIngest } from '../ingest/ingest.ts';
import { isSendable } from './access.ts';
import { createApi } from './api.ts';
import { limitConnections } from './connections.ts';
import { HEADER_BYTES_MAX, type ServerOptions } from './server-options.ts';

/** A server that listens. */
export interface RunningServer {
  /** `http://host:port`, an address that a client on this machine can use. */
  readonly url: string;
  readonly port: number;
  /** Stops accepting, answers what is in flight for at most 10 s, then closes what is left. */
  close(): Promise<void>;
}

/**
 * Starts the one HTTP server: ingest paths go straight to their handler, everything else to the API.
 * @throws ERR_PORT_TAKEN, ERR_CONFIG_INVALID (an address that cannot be listened on, or a public one without
 *         http.allowedHosts)
 */
export async function createServer(options: ServerOptions): Promise<RunningServer> {
  assert(isSendable(options.token), 'the operator token can be sent as bearer and as cookie');
  const host = options.config['http.host'];
  if (!isLoopback(host) && options.config['http.allowedHosts'].length === 0) {
    throw new MillraceError('ERR_CONFIG_INVALID', `http.host is ${host} and http.allowedHosts is empty`, {
      remedy: 'Name the hosts that clients use: --set http.allowedHosts=NAME, or listen on 127.0.0.1.',
    });
  }
  let isClosing = false;
  const address = { port: 0 };
  const api = await createApi({ ...options, ownPort: () => address.port });
  const server = createHttpServer(serverLimits(options.config), (request, response) => {
    // A kept connection that is never idle would outlive the drain.
    if (isClosing) response.shouldKeepAlive = false;
    if (matchesIngest(request.url ?? '')) options.ingest(request, response);
    else api.handle(request, response);
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  limitConnections(server, options.config['http.connectionsMax']);
  server.on('clientError', refuseMalformed);
  address.port = await listen(server, host, options.config['http.port']);
  // A connection that could not be accepted; without a listener it would end the process.
  server.on('error', options.onBug);
  return {
    url: `http://${clientHost(host)}:${address.port}`,
    port: address.port,
    async close() {
      isClosing = true;
      api.endStreams();
      await drain(server);
      await api.close();
    },
  };
}

/** As the original, which raised it above the idle timeout of the proxies before it. */
const KEEP_ALIVE_MS = 300_000;
const DRAIN_MS_MAX = 10_000;

function serverLimits(config: Config) {
  const msMax = config['ingest.requestMsMax'];
  return {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: msMax,
    // Bodies have a timer of their own that answers in the route's form; this one is behind it.
    requestTimeout: msMax + 5000,
    connectionsCheckingInterval: Math.min(1000, msMax),
    insecureHTTPParser: false,
    noDelay: true,
  };
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  server.listen({ host, port, backlog: 1024 });
  try {
    await once(server, 'listening');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const code = reason === 'EADDRINUSE' ? 'ERR_PORT_TAKEN' : 'ERR_CONFIG_INVALID';
    throw new MillraceError(code, `${host}:${port}: ${reason}`, { cause: error });
  }
  const address = server.address();
  assert(address !== null && typeof address === 'object', 'the server listens on a port');
  return address.port;
}

/** An address of all interfaces is none that a client can name. */
function clientHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** Answers what is not HTTP, or did not come in time, in the API's form, and closes. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, why] = MALFORMED[error.code ?? ''] ?? ['400 Bad Request', 'it is not HTTP/1.1'];
  const body = JSON.stringify({ error: new MillraceError('ERR_REQUEST_INVALID', why).toDocument() });
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\nconnection: close\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

const MALFORMED: Readonly<Record<string, readonly [string, string]>> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    `the headers are larger than ${HEADER_BYTES_MAX} bytes`,
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request did not come in time'],
};

async function drain(server: Server): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  const deadline = AbortSignal.timeout(DRAIN_MS_MAX);
  deadline.addEventListener('abort', () => server.closeAllConnections());
  // A connection that becomes idle after the call would else be kept for KEEP_ALIVE_MS.
  const sweep = setInterval(() => server.closeIdleConnections(), 20);
  await closed;
  clearInterval(sweep);
}
