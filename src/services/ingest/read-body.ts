import type { IncomingMessage } from 'node:http';
import { MillraceError } from '../../core/errors.ts';
import { freeMemory } from '../../core/free-memory.ts';

/** How far a body is read and for how long. */
export interface BodyLimits {
  /** Bytes on the wire that are kept. */
  readonly bytesMax: number;
  /** Bytes of a refused body that are read and thrown away, so that its sender sees the answer. */
  readonly refusedBytesMax: number;
  /** Time from the call to the body's end. */
  readonly msMax: number;
  /** What more than `bytesMax` is called. */
  readonly tooLarge: 'ERR_BODY_TOO_LARGE' | 'ERR_UPLOAD_TOO_LARGE';
  readonly memory: BodyMemory;
}

/** One request's share of the memory that all bodies have together. */
export interface BodyMemory {
  /** Asks for bytes; false where there is no room. A negative number gives some back. */
  reserve(bytes: number): boolean;
  /** Takes over a buffer whose memory nobody else has part in, unless it is of Node's pool. */
  own(bytes: Buffer): void;
  /** Gives back all that was granted and taken over: nobody may read those buffers any more. */
  release(): void;
}

/** What became of a body. */
export interface BodyRead {
  /** The whole body; null where it is refused or its sender is gone. */
  readonly bytes: Buffer | null;
  readonly refusal: MillraceError | null;
  /** False where more bytes may come: the connection cannot take another request. */
  readonly isComplete: boolean;
  readonly receivedBytes: number;
}

/**
 * Reads a body to its end. One that is refused, before or on the way, is read on and thrown away up to
 * `refusedBytesMax`, because a sender that is cut off in the middle sees a reset and not the reason.
 * @param refusal  why the request is refused already, else null
 * @returns        resolves always; `bytes` and `refusal` are both null where the sender went away. What was
 *                 reserved is the caller's to release.
 */
export function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  refusal: MillraceError | null,
): Promise<BodyRead> {
  const { promise, resolve } = Promise.withResolvers<BodyRead>();
  let reason = refusal;
  const chunks: Buffer[] = [];
  let receivedBytes = 0;

  const timer = setTimeout(() => {
    reason ??= new MillraceError('ERR_BODY_TIMEOUT', `${receivedBytes} bytes came in ${limits.msMax} ms`);
    end(false);
  }, limits.msMax);
  const end = (isComplete: boolean, isGone = false): void => {
    clearTimeout(timer);
    const pieces = chunks.splice(0);
    const isKept = reason === null && !isGone;
    if (!isKept) discard(pieces);
    const bytes = isKept ? join(pieces, limits.memory) : null;
    resolve({ bytes, refusal: isGone ? null : reason, isComplete, receivedBytes });
  };

  // The listeners stay: what comes after the promise has settled is thrown away, not left to fill the socket.
  request.on('data', (chunk: Buffer) => {
    receivedBytes += chunk.length;
    reason ??= whyNotKept(receivedBytes, chunk.length, limits);
    if (reason === null) {
      chunks.push(chunk);
      return;
    }
    discard([...chunks.splice(0), chunk]);
    limits.memory.release();
    if (receivedBytes > limits.refusedBytesMax) end(false);
  });
  request.once('end', () => end(true));
  request.on('error', () => end(false, true));
  request.once('close', () => end(false, true));
  return promise;
}

/** The pieces of a body in one buffer; a single piece stays where it is, maybe beside others. */
function join(pieces: readonly Buffer[], memory: BodyMemory): Buffer {
  if (pieces.length === 1) return pieces[0]!;
  const bytes = Buffer.allocUnsafeSlow(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) at += piece.copy(bytes, at);
  discard(pieces);
  memory.own(bytes);
  return bytes;
}

/** Not left to be collected: whoever sends and sends would fill 64 MB with what is thrown away. */
function discard(pieces: readonly Buffer[]): void {
  for (const piece of pieces) freeMemory(piece);
}

function whyNotKept(receivedBytes: number, chunkBytes: number, limits: BodyLimits): MillraceError | null {
  if (receivedBytes > limits.bytesMax) {
    return new MillraceError(limits.tooLarge, `more than ${limits.bytesMax} bytes on the wire`);
  }
  return limits.memory.reserve(chunkBytes)
    ? null
    : new MillraceError('ERR_OVERLOADED', 'the memory for bodies is full');
}
