import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { MillraceError } from '../../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../../core/event.ts';
import { isJsonType } from '../ingest/media-type.ts';
import { readBody } from '../ingest/read-body.ts';
import type { ApiRoute } from './route.ts';

/** How far and how long an upload is read. */
export interface UploadLimits {
  /** A refused upload is read this far, bytes, so that its sender sees the answer. */
  readonly refusedBytesMax: number;
  /** Time until its end. */
  readonly msMax: number;
}

/** Reads the body that a route takes, whole; throws why it is refused. */
export async function readUpload(
  request: IncomingMessage,
  takes: NonNullable<ApiRoute['body']>,
  limits: UploadLimits,
): Promise<Buffer> {
  const read = await readBody(
    request,
    {
      ...limits,
      bytesMax: takes.bytesMax,
      tooLarge: 'ERR_UPLOAD_TOO_LARGE',
      memory: UNCOUNTED,
    },
    refusalOf(request, takes),
  );
  if (read.refusal !== null) throw read.refusal;
  if (read.bytes === null) throw new MillraceError('ERR_REQUEST_INVALID', 'the client went away');
  return read.bytes;
}

/** A JSON text in UTF-8; throws ERR_BODY_UNREADABLE. */
export function parseBody(bytes: Buffer): Json {
  if (!isUtf8(bytes)) throw new MillraceError('ERR_BODY_UNREADABLE', 'the bytes are not UTF-8');
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new MillraceError('ERR_BODY_UNREADABLE', 'the text is not JSON', { cause: error });
  }
}

/**
 * The members of a JSON object, which may hold those of the names and no others: what is misspelt is refused, not
 * passed over. Throws ERR_BODY_UNREADABLE, ERR_REQUEST_INVALID.
 */
export function membersOf(bytes: Buffer, names: readonly string[]): JsonObject {
  const document = parseBody(bytes);
  if (!isObject(document)) throw new MillraceError('ERR_REQUEST_INVALID', 'the body is not a JSON object');
  const surplus = Object.keys(document).find(name => !names.includes(name));
  if (surplus === undefined) return document;
  throw new MillraceError('ERR_REQUEST_INVALID', `the body has a surplus ${surplus}`);
}

/** Uploads are bounded by their route's size and the gate they pass, not by the memory of ingest. */
const UNCOUNTED = { reserve: () => true, own: () => {}, release: () => {} };

function refusalOf({ headers }: IncomingMessage, takes: NonNullable<ApiRoute['body']>): MillraceError | null {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    return new MillraceError('ERR_ENCODING_UNSUPPORTED', `content-encoding ${encoding}`, {
      remedy: 'Send the body as it is.',
    });
  }
  if (takes.type === 'application/json' && !isJsonType(headers['content-type'])) {
    return new MillraceError('ERR_MEDIA_TYPE', `content-type ${headers['content-type'] ?? 'is missing'}`);
  }
  return null;
}
