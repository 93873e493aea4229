import type { Logger } from '../../../observability/logger.ts';
import { errorFromNative } from './kafka-errors.ts';
import type { KafkaConnection } from './kafka-settings.ts';
import { called, type NativeError, type NativeHandle } from './native-client.ts';

/** What a handle connects with. */
export interface HandleOptions {
  readonly connection: KafkaConnection;
  readonly requestMsMax: number;
  readonly logger: Logger;
}

// librdkafka's severities are syslog's: 3 is error, 4 warning.
const WARNING = 4;
/** What the client says of transactions, the call that meets it says again: who made the call handles it or logs it. */
const SAID_BY_CALLS: readonly string[] = ['TXNERR', 'GETPID'];
const DISCONNECT_MS_MAX = 10_000;

/** Connects a handle and has what it says logged. Rejects with a named error; the client lets the handle go then. */
export async function connectHandle(handle: NativeHandle, options: HandleOptions): Promise<void> {
  const { connection, requestMsMax, logger } = options;
  handle.on('event.log', (entry: { severity: number; fac: string; message: string }) => {
    const isNews = entry.severity <= WARNING && !SAID_BY_CALLS.includes(entry.fac);
    const level = isNews ? 'warn' : 'debug';
    logger[level]({ facility: entry.fac, said: entry.message }, 'kafka client');
  });
  // Errors that matter come back from the call that met them; an emitter without a listener would throw.
  handle.on('event.error', (error: NativeError) => logger.debug({ said: error.message }, 'kafka client'));
  try {
    await called(callback => handle.connect({ timeout: requestMsMax }, callback));
  } catch (error) {
    throw errorFromNative(error as NativeError, { brokers: connection.brokers, doing: 'connect' });
  }
}

/** Disconnects; a handle whose broker is away is let go after a while. */
export async function disconnectHandle(handle: NativeHandle): Promise<void> {
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, DISCONNECT_MS_MAX);
    handle.disconnect(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
