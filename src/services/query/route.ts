import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Backend } from '../../core/documents.ts';
import type { IngestMeter } from '../ingest/meter.ts';
import type { SchemaName } from './schemas.ts';

/** What the routes answer from. */
export interface ApiContext {
  readonly environment: string;
  readonly backend: Backend;
  readonly meter: IngestMeter;
  /** Server clock, epoch ms UTC. */
  nowMs(): number;
}

/** A query parameter, as JSON Schema says it; the same lines check requests and describe them. */
export interface QueryParameter {
  readonly type: 'string' | 'integer';
  readonly description: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: number;
}

/** A request that passed the checks. */
export interface ApiRequest {
  /** Path parameters, decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Declared query parameters, of the declared type; a default stands for a missing one. */
  readonly query: Readonly<Record<string, string | number | undefined>>;
  /** The whole body; empty where the route takes none. */
  readonly body: Buffer;
  /** For what the answer depends on besides: the forms and encodings that the client takes. */
  readonly headers: IncomingHttpHeaders;
}

/** What a route answers with: a JSON document, text of another type, or a stream of lines. */
export interface ApiAnswer {
  readonly status?: number;
  readonly type?: string;
  /** Instead of, or besides, those of every answer. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: object | string | Uint8Array | Readable;
}

/** One route of the API. The table of these registers the routes and writes /openapi.json. */
export interface ApiRoute {
  readonly method: 'GET' | 'POST';
  /** `:name` is a path parameter. */
  readonly path: string;
  readonly summary: string;
  /** `open` routes need no token and hold no secret. */
  readonly access: 'open' | 'operator';
  /** The answer is a stream without an end, so HEAD is refused. */
  readonly isEndless?: boolean;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, QueryParameter>>;
  readonly body?: {
    readonly type: 'application/json' | 'application/x-ndjson';
    /** Of the document, or of each line. */
    readonly schema: SchemaName;
    readonly bytesMax: number;
  };
  readonly answer: {
    readonly type: 'application/json' | 'application/x-ndjson' | 'text/plain' | 'text/event-stream';
    readonly schema: SchemaName;
    readonly description: string;
  };
  run(context: ApiContext, request: ApiRequest): Promise<ApiAnswer>;
}

/** Type of a stream of JSON lines. */
export const NDJSON = 'application/x-ndjson';

/** Whether a client is a browser that opens a page: it names HTML among what it takes. */
export function takesHtml({ accept }: IncomingHttpHeaders): boolean {
  return /\btext\/html\b/.test(accept ?? '');
}
