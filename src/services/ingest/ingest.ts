import { randomUUID } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Config } from '../../config/options.ts';
import { MillraceError } from '../../core/errors.ts';
import { freeMemory } from '../../core/free-memory.ts';
import { bearerOf, createTokenCheck, type TokenCheck } from './bearer.ts';
import { envelopeOf, RETRY_AFTER_S } from './envelope.ts';
import { encodingOf, inflateBody } from './inflate.ts';
import { isJsonType } from './media-type.ts';
import { countLatency, type IngestMeter } from './meter.ts';
import { parseBatch } from './parse-batch.ts';
import { type BodyLimits, type BodyMemory, readBody } from './read-body.ts';
import { type StampedRecord, stampBatch, valueBytes } from './stamp-batch.ts';

/** What ingest is made with. */
export interface IngestOptions {
  readonly config: Config;
  /**
   * Resolves when the record is durable; rejects with an `unavailable` error, nothing kept. What the value lies in is
   * read before the call returns, and not after.
   */
  append(record: StampedRecord): Promise<void>;
  /** Why nothing can be taken in now, else null. Asked before a body is read. */
  admission(): MillraceError | null;
  /** Server clock, epoch ms UTC. */
  nowMs(): number;
  /** Bearer tokens of which a request must present one; none: ingest is open. */
  readonly tokens: readonly string[];
  readonly meter: IngestMeter;
  /** Told of what should never happen; the request is answered 500. */
  onBug(error: unknown): void;
}

/** Answers one request of `node:http`; never throws. */
export type IngestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Paths at which clients send telemetry; sources in docs of the original and its SDKs. */
export const INGEST_PATHS: readonly string[] = [
  '/v1/telemetry',
  '/v2/telemetry',
  '/v3/telemetry',
  '/data/v1/telemetry',
  '/data/v2/telemetry',
  '/data/v3/telemetry',
  '/action/data/v3/telemetry',
  '/api/data/v1/telemetry',
  '/content/data/v1/telemetry',
];

const PATHS: ReadonlySet<string> = new Set(INGEST_PATHS.flatMap(path => [path, `${path}/`]));

/** Whether a request target is an ingest path, whatever its method; a trailing slash and a query may follow. */
export function matchesIngest(target: string): boolean {
  const queryAt = target.indexOf('?');
  return PATHS.has(queryAt === -1 ? target : target.slice(0, queryAt));
}

/**
 * The handler of the ingest paths. A batch is answered 200 only after `append` resolved; every other answer
 * has stored nothing. Bodies in memory are bounded by `ingest.inFlightBytesMax` over all requests.
 */
export function createIngest(options: IngestOptions): IngestHandler {
  const context = {
    ...options,
    isKnown: createTokenCheck(options.tokens),
    cors: corsHeaders(options.config),
  };
  return (request, response) => {
    serve(context, request, response).catch((error: unknown) => {
      options.onBug(error);
      response.destroy();
    });
  };
}

interface Context extends IngestOptions {
  readonly isKnown: TokenCheck;
  readonly cors: OutgoingHttpHeaders;
}

async function serve(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { meter } = context;
  const startedMs = performance.now();
  const memory = createMemory(context);
  meter.requests++;
  meter.inFlight++;
  try {
    const read = await readBody(request, bodyLimits(context, memory), refusalOf(context, request));
    meter.receivedBytes += read.receivedBytes;
    const isGone = read.bytes === null && read.refusal === null;
    if (isGone) return;
    const answer =
      read.bytes === null || request.method === 'OPTIONS'
        ? read.refusal
        : await store(context, request, { bytes: read.bytes, memory });
    if (answer !== null) meter.refused.set(answer.code, (meter.refused.get(answer.code) ?? 0) + 1);
    reply(context, request, { response, error: answer, isLast: !read.isComplete });
  } finally {
    memory.release();
    meter.inFlight--;
    countLatency(meter, performance.now() - startedMs);
  }
}

/**
 * A body larger than the bound is let in where it is alone, else it could never be sent.
 *
 * Buffers are freed with their request. Left to V8, whose heap they are outside of, their sum sets off collections of
 * the whole heap: 42 to 52 in 5 s of 1,660 packed batches of 100 events a second, none with this.
 */
function createMemory({ meter, config }: Context): BodyMemory {
  let held = 0;
  const owned: Buffer[] = [];
  return {
    reserve(bytes) {
      const others = meter.inFlightBytes - held;
      if (others > 0 && meter.inFlightBytes + bytes > config['ingest.inFlightBytesMax']) return false;
      held += bytes;
      meter.inFlightBytes += bytes;
      return true;
    },
    own(bytes) {
      owned.push(bytes);
    },
    release() {
      meter.inFlightBytes -= held;
      held = 0;
      for (const bytes of owned.splice(0)) freeMemory(bytes);
    },
  };
}

function bodyLimits({ config }: Context, memory: BodyMemory): BodyLimits {
  return {
    bytesMax: config['ingest.bodyBytesMax'],
    refusedBytesMax: config['ingest.refusedBytesMax'],
    msMax: config['ingest.requestMsMax'],
    tooLarge: 'ERR_BODY_TOO_LARGE',
    memory,
  };
}

/** What the headers alone refuse; null where the body must be looked at. */
function refusalOf(context: Context, request: IncomingMessage): MillraceError | null {
  const { headers, method } = request;
  if (method === 'OPTIONS') return null;
  if (method !== 'POST') {
    return new MillraceError('ERR_METHOD_NOT_ALLOWED', `${method} on an ingest path; it takes POST`);
  }
  if (context.tokens.length > 0 && !context.isKnown(bearerOf(headers.authorization))) {
    return new MillraceError('ERR_UNAUTHORIZED', 'ingest.tokens asks for one of its tokens');
  }
  if (encodingOf(headers['content-encoding']) === null) {
    return new MillraceError('ERR_ENCODING_UNSUPPORTED', `content-encoding ${headers['content-encoding']}`);
  }
  const isEmpty = headers['content-length'] === '0' || isBodyless(request);
  if (!isEmpty && !isJsonType(headers['content-type'])) {
    return new MillraceError('ERR_MEDIA_TYPE', `content-type ${headers['content-type'] ?? 'is missing'}`);
  }
  return context.admission() ?? overload(context, Number(headers['content-length'] ?? 0));
}

function isBodyless({ headers }: IncomingMessage): boolean {
  return headers['content-length'] === undefined && headers['transfer-encoding'] === undefined;
}

/** Says no before the first byte where the declared length cannot find room now. */
function overload({ meter, config }: Context, declaredBytes: number): MillraceError | null {
  const roomMax = config['ingest.inFlightBytesMax'];
  if (meter.inFlightBytes === 0 || meter.inFlightBytes + declaredBytes <= roomMax) return null;
  return new MillraceError('ERR_OVERLOADED', `${meter.inFlightBytes} bytes of bodies are in memory`);
}

/** Stores a body as one record. Null once it is durable, else why it is not. */
async function store(
  context: Context,
  request: IncomingMessage,
  body: { readonly bytes: Buffer; readonly memory: BodyMemory },
): Promise<MillraceError | null> {
  const { config, meter } = context;
  const { headers } = request;
  const encoding = encodingOf(headers['content-encoding']) ?? 'identity';
  const inflated = await inflateBody(body.bytes, encoding, config['ingest.bodyBytesMax']);
  if (inflated instanceof MillraceError) return inflated;
  if (inflated !== body.bytes) body.memory.own(inflated);
  if (!body.memory.reserve(inflated.length - body.bytes.length)) {
    return new MillraceError('ERR_OVERLOADED', 'the memory for bodies is full');
  }
  const batch = parseBatch(inflated, {
    depthMax: config['ingest.depthMax'],
    eventsMax: config['ingest.eventsMax'],
  });
  if (batch instanceof MillraceError) return batch;
  const record = stampBatch(batch, {
    did: headerText(headers['x-device-id']),
    channel: headerText(headers['x-channel-id']),
    pid: headerText(headers['x-app-id']),
    nowMs: context.nowMs(),
    dataset: config['ingest.dataset'],
    newMid: randomUUID,
  });
  try {
    await context.append(record);
  } catch (error) {
    return errorOf(context, error);
  }
  meter.accepted++;
  meter.events += batch.eventCount;
  meter.storedBytes += valueBytes(record.value);
  return null;
}

function headerText(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}

/** The world's faults answer for themselves; anything else that `append` throws is a bug. */
function errorOf(context: Context, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  context.onBug(error);
  return new MillraceError('ERR_INTERNAL', 'see the log', { cause: error });
}

/** How long a connection that is given up stays readable, so that its client can read the answer, ms. */
const LINGER_MS = 1000;

function reply(
  context: Context,
  request: IncomingMessage,
  answer: {
    readonly response: ServerResponse;
    readonly error: MillraceError | null;
    readonly isLast: boolean;
  },
): void {
  const { response, error, isLast } = answer;
  const isPreflight = error === null && request.method === 'OPTIONS';
  const body = isPreflight ? '' : JSON.stringify(envelopeOf('api.telemetry', context.nowMs(), error));
  const headers: OutgoingHttpHeaders = {
    ...context.cors,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
  };
  if (error?.httpStatus === 503) headers['retry-after'] = RETRY_AFTER_S;
  if (error?.httpStatus === 401) headers['www-authenticate'] = 'Bearer';
  if (error?.httpStatus === 405) headers['allow'] = 'POST, OPTIONS';
  if (isLast) headers['connection'] = 'close';
  response.writeHead(error?.httpStatus ?? 200, headers);
  if (!isLast) {
    response.end(body);
    return;
  }
  // Ending now would destroy the socket with unread bytes in it, and the reset would overtake the answer.
  response.write(body);
  setTimeout(() => response.end(), LINGER_MS);
}

/** The original's allowed headers, and by name those that its `*` was to cover: it never covers authorization. */
function corsHeaders(config: Config): OutgoingHttpHeaders {
  return {
    'access-control-allow-origin': config['ingest.allowedOrigins'],
    'access-control-allow-methods': 'POST, OPTIONS',
    'access-control-allow-headers':
      'authorization, content-type, content-encoding, x-app-id, x-channel-id, x-device-id, datatype, ' +
      'x-authenticated-user-token, x-authenticated-for, cid, user-id, x-auth, cache-control, x-requested-with, *',
    'access-control-max-age': '86400',
  };
}
