import type { Config } from '../../config/options.ts';
import type { Backend } from '../../core/documents.ts';
import type { JsonObject } from '../../core/event.ts';
import type { IngestHandler } from '../ingest/ingest.ts';
import type { IngestMeter } from '../ingest/meter.ts';
import type { ConsoleFiles } from './console-files.ts';
import type { OperationsApi } from './operations-api.ts';

/** Of a request's first line and headers together; more is answered 431. */
export const HEADER_BYTES_MAX = 16 * 1024;

/** What the server is made with. */
export interface ServerOptions {
  /** Keys `http.*`; of `ingest.*` the times and sizes that bound every request. */
  readonly config: Config;
  /** Prefix of the topics. */
  readonly environment: string;
  readonly backend: Backend;
  /** Answers the ingest paths. */
  readonly ingest: IngestHandler;
  /** The meter that ingest writes. */
  readonly meter: IngestMeter;
  /** The operator's token, visible ASCII without `" , ; \`. */
  readonly token: string;
  /** What GET /version answers; holds no secret. */
  readonly version: JsonObject & { readonly version: string };
  /** The built console; without it `GET /` answers the list of routes to browsers too. */
  readonly console?: ConsoleFiles | undefined;
  /** Answers the routes of operations; without it they answer 404. */
  readonly operations?: OperationsApi | undefined;
  /** Server clock, epoch ms UTC. */
  nowMs(): number;
  /** Told of what should never happen; the request is answered 500. */
  onBug(error: unknown): void;
}
