import { MillraceError } from '../../core/errors.ts';

/** One object that a range becomes. */
export interface IntentObject {
  readonly name: string;
  /** `YYYY-MM-DD`, or `invalid`. */
  readonly date: string;
  readonly records: number;
  readonly sizeBytes: number;
  /** Of the compressed bytes, hexadecimal. */
  readonly sha256: string;
}

/**
 * What the archive is about to do, committed to the log before the first object is created: exactly these
 * objects will hold exactly this range. After a crash it is finished before anything else, so a range never
 * comes out in two shapes.
 */
export interface Intent {
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: number;
  /** Exclusive. */
  readonly toOffset: number;
  /** Number of the sink's start that made it; objects and entries of a sink that was replaced show by it. */
  readonly epoch: number;
  readonly objects: readonly IntentObject[];
}

/** An intent as a record's value: one line of JSON. */
export function encodeIntent(intent: Intent): Uint8Array {
  return Buffer.from(JSON.stringify(intent), 'utf8');
}

/** Reads what {@link encodeIntent} wrote; a damaged one throws ERR_STORE_UNAVAILABLE: going on would repeat a range. */
export function decodeIntent(value: Uint8Array): Intent {
  try {
    return JSON.parse(Buffer.from(value).toString('utf8'));
  } catch (cause) {
    throw new MillraceError('ERR_STORE_UNAVAILABLE', 'an intent of the archive cannot be read', { cause });
  }
}
