import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { environmentFolder, type Settings } from '../config/environment.ts';
import { checkEnvironmentFile, checkSets } from '../config/load.ts';
import { MillraceError } from '../core/errors.ts';
import { isObject, textOf } from '../core/event.ts';
import { isErrorCode } from './error-code.ts';

/** Where a server listens and the token it asks for. */
export interface Server {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string | undefined;
}

/** What the serving process writes into its environment's folder as `serving.json`. */
export interface ServingDocument {
  readonly url: string;
  readonly pid: number;
  readonly startedAtMs: number;
}

/** One request. `path` begins with a slash; `query` entries that are undefined are left out. */
export interface ClientRequest {
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: string | Uint8Array;
  readonly contentType?: string;
  /** Any status is an answer; by default one that is not 2xx is thrown as the error it carries. */
  readonly anyStatus?: boolean;
}

// Longer than the longest query.timeoutMs is of no use; a verify of a large archive stays below it.
const ANSWER_MS_MAX = 3_600_000;

/**
 * Finds the server to talk to: `--url`, else the one that serves the environment of the data directory.
 * The token comes from the data directory, else from MILLRACE_TOKEN. Throws ERR_NOT_SERVING, or ERR_CONFIG_INVALID
 * where a `--set` is wrong, which has no effect here, or where nothing could serve: the environment has no file.
 */
export function findServer(settings: Settings): Server {
  checkSets(settings.sets);
  const token = readOptional(join(environmentFolder(settings), 'token'))?.trim() || settings.token;
  if (settings.url !== undefined) return { url: checkUrl(settings.url), token };
  const serving = readServing(settings);
  if (serving === undefined) {
    checkEnvironmentFile(settings);
    throw new MillraceError('ERR_NOT_SERVING', `nothing serves ${environmentFolder(settings)}`, {
      remedy: `Start it: millrace up${settings.environment === 'local' ? '' : ` --env ${settings.environment}`}`,
    });
  }
  return { url: serving.url, token };
}

/** What the serving process wrote of itself; undefined where there is none. It may be gone: a kill leaves it. */
export function readServing(settings: Settings): ServingDocument | undefined {
  const text = readOptional(join(environmentFolder(settings), 'serving.json'));
  if (text === undefined) return undefined;
  const document = parseJson(text);
  const url = isObject(document) ? textOf(document['url']) : undefined;
  if (!isObject(document) || url === undefined || !Number.isInteger(document['pid'])) return undefined;
  return { url: checkUrl(url), pid: Number(document['pid']), startedAtMs: Number(document['startedAtMs']) };
}

/**
 * Sends a request and gives its answer. Throws ERR_NOT_SERVING where nothing (or something else) answers, and
 * the server's own error where it refuses.
 */
export async function ask(server: Server, request: ClientRequest): Promise<Response> {
  const url = new URL(server.url + request.path);
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const headers: Record<string, string> = {};
  if (server.token !== undefined) headers['authorization'] = `Bearer ${server.token}`;
  if (request.body !== undefined) headers['content-type'] = request.contentType ?? 'application/json';
  let response: Response;
  try {
    response = await fetch(url, {
      method: request.method ?? 'GET',
      headers,
      // Memory handed to fetch must not be shared; ours never is.
      ...(request.body === undefined ? {} : { body: request.body as string | Uint8Array<ArrayBuffer> }),
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
  } catch (cause) {
    throw new MillraceError('ERR_NOT_SERVING', `${server.url} does not answer: ${reasonOf(cause)}`, {
      cause,
    });
  }
  if (response.ok || request.anyStatus === true) return response;
  throw refusalOf(server, response.status, await response.text());
}

/** Sends a request and parses the JSON document it is answered with; see {@link ask}. */
export async function askDocument<T>(server: Server, request: ClientRequest): Promise<T> {
  const response = await ask(server, request);
  const text = await response.text();
  const document = parseJson(text);
  if (document === undefined) throw refusalOf(server, response.status, text);
  return document as T;
}

/** The error that a refusal carries; ERR_NOT_SERVING where what answers does not speak as the product does. */
function refusalOf(server: Server, status: number, text: string): MillraceError {
  const document = parseJson(text);
  const error = isObject(document) && isObject(document['error']) ? document['error'] : {};
  const code = textOf(error['code']);
  const why = textOf(error['why']) ?? textOf(error['message']) ?? '';
  if (code !== undefined && isErrorCode(code)) {
    const remedy = textOf(error['remedy']);
    return new MillraceError(code, why, remedy === undefined ? {} : { remedy });
  }
  const said = code === undefined ? text.slice(0, 200) : `${code}: ${why}`;
  return new MillraceError(
    'ERR_NOT_SERVING',
    `${server.url} answered ${status}, not as millrace does: ${said}`,
    {
      remedy: 'Check the address, and that both are the same version: millrace version',
    },
  );
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new MillraceError('ERR_USAGE', `"${text}" is not an http URL`, {
      remedy: 'Write, for example: --url http://127.0.0.1:8480',
    });
  }
  // As it was read, not as it was written: a space behind the port is passed over only where nothing follows it.
  return url.href.replace(/\/+$/, '');
}

/** fetch says only "fetch failed"; its cause says what failed. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join(', ');
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new MillraceError('ERR_FILE_UNREADABLE', `${path}: ${message}`, { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
