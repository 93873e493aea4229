import { connect, createServer } from 'node:net';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';

const LOOPBACK = '127.0.0.1';
const REPLY_BYTES_MAX = 1024 * 1024;

/** Tries to listen, which is the one question whose answer is also right for listeners on all addresses. */
export function isPortFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(true)));
  return promise;
}

/** As {@link Host} has it. */
export const askPort: Host['ask'] = (port, request, { timeoutMs, isWhole }) => {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const socket = connect({ port, host: LOOPBACK });
  let reply: Buffer = Buffer.alloc(0);
  const refuse = (why: string, cause?: unknown) =>
    reject(new MillraceError('ERR_HOST_COMMAND', `port ${port} ${why}`, { cause }));
  const timer = setTimeout(() => refuse(`did not answer within ${timeoutMs} ms`), timeoutMs);
  socket.once('connect', () => socket.write(request));
  socket.on('data', chunk => {
    reply = Buffer.concat([reply, chunk]);
    if (reply.length > REPLY_BYTES_MAX) refuse(`answered more than ${REPLY_BYTES_MAX} bytes`);
    else if (isWhole(reply)) resolve(reply);
  });
  socket.once('error', error => refuse(`does not answer: ${error.message}`, error));
  socket.once('close', () => resolve(reply));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
};
