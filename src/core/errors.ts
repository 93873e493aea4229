import { type ErrorKind, type ErrorRow, row } from './error-row.ts';
import { OPERATION_ERRORS } from './operation-errors.ts';

export type { ErrorKind } from './error-row.ts';

/** Every error the product names. Exit code: 2 for `misuse`, else 1. */
export const ERRORS = {
  // Verdicts on events and batches.
  ERR_BATCH_UNREADABLE: row(
    'invalid',
    400,
    'the batch is not a JSON object with an events array',
    'Send one JSON object with an "events" array, UTF-8.',
  ),
  ERR_EVENT_NOT_OBJECT: row(
    'invalid',
    400,
    'an element of events is not a JSON object',
    'Send each event as a JSON object.',
  ),
  ERR_EVENT_TOO_LARGE: row(
    'invalid',
    400,
    'the event is larger than extract.eventBytesMax',
    'Send less in one event, or raise extract.eventBytesMax.',
  ),
  ERR_SHARE_TOO_LARGE: row(
    'invalid',
    400,
    'the items of a SHARE event would take more than 32 times its bytes',
    'Send the items in several SHARE events.',
  ),
  ERR_RECORD_UNREADABLE: row(
    'invalid',
    400,
    'the record is not a JSON object',
    'Write one JSON object per record.',
  ),
  ERR_SCHEMA_NOT_FOUND: row(
    'invalid',
    400,
    'no schema is registered for the eid',
    'Check the spelling of eid, or add a schema for it.',
  ),
  ERR_SCHEMA_VIOLATION: row(
    'invalid',
    400,
    'the event breaks a rule of its schema',
    'Correct the field that the pointer names.',
  ),
  ERR_DEDUP_KEY_MISSING: row('invalid', 400, 'the event has no mid', 'Give each event a unique mid.'),
  ERR_TIME_INVALID: row(
    'invalid',
    400,
    'the event time is not a number of milliseconds',
    'Send ets as epoch milliseconds.',
  ),
  ERR_DUPLICATE: row('invalid', 200, 'the key was seen before', 'Nothing to do: the first one was kept.'),
  ERR_EXPIRED: row(
    'invalid',
    200,
    'the event is older than denormalise.expiryMonths',
    'Raise denormalise.expiryMonths to keep older events.',
  ),
  ERR_SKIPPED: row(
    'invalid',
    200,
    'the kind of event is not denormalised',
    'Take the eid out of denormalise.skipEids to keep it.',
  ),
  ERR_JOB_BUG: row(
    'bug',
    500,
    'a job failed on the event',
    'Report it with the event: the stack is in the reason.',
  ),
  ERR_INTERNAL: row(
    'bug',
    500,
    'something unexpected went wrong',
    'Report it with what standard error shows.',
  ),

  // Refused requests.
  ERR_BODY_UNREADABLE: row('invalid', 400, 'the body is not UTF-8 JSON', 'Send UTF-8 JSON.'),
  ERR_BODY_ENCODING: row(
    'invalid',
    400,
    'the body does not inflate with its content-encoding',
    'Send the body in the encoding the header names.',
  ),
  ERR_BODY_NO_EVENTS: row(
    'invalid',
    400,
    'the body has no events array',
    'Send a JSON object with an "events" array.',
  ),
  ERR_BODY_TOO_DEEP: row(
    'invalid',
    400,
    'the body is nested deeper than ingest.depthMax',
    'Nest less deeply.',
  ),
  ERR_BODY_TOO_MANY: row(
    'invalid',
    413,
    'the batch has more events than ingest.eventsMax',
    'Send smaller batches.',
  ),
  ERR_BODY_TOO_LARGE: row(
    'invalid',
    413,
    'the body is larger than ingest.bodyBytesMax when inflated',
    'Send smaller batches.',
  ),
  ERR_BODY_TIMEOUT: row(
    'invalid',
    408,
    'the body took longer than ingest.requestMsMax',
    'Send the body without pauses.',
  ),
  ERR_MEDIA_TYPE: row('invalid', 415, 'the content type is not JSON', 'Set content-type: application/json.'),
  ERR_ENCODING_UNSUPPORTED: row(
    'invalid',
    415,
    'the content-encoding is not supported',
    'Use gzip, deflate, br or none.',
  ),
  ERR_REQUEST_INVALID: row(
    'invalid',
    400,
    'the request is not what the route takes',
    'See /openapi.json for what it takes.',
  ),
  ERR_UNAUTHORIZED: row(
    'invalid',
    401,
    'the request has no valid token',
    'Send "Authorization: Bearer <token>"; the token lies in the data directory. For the command line: MILLRACE_TOKEN.',
  ),
  ERR_ORIGIN_REFUSED: row(
    'invalid',
    403,
    'the Host or Origin is not this server',
    'Call the server by the address it listens on.',
  ),
  ERR_UPLOAD_TOO_LARGE: row(
    'invalid',
    413,
    'the body is larger than the route takes',
    'Send it in several requests.',
  ),
  ERR_NOT_FOUND: row('invalid', 404, 'there is nothing by that name', 'Check the name.'),
  ERR_METHOD_NOT_ALLOWED: row('invalid', 405, 'the route does not take this method', 'See /openapi.json.'),

  // Queries.
  ERR_QUERY_INVALID: row(
    'invalid',
    400,
    'the SQL cannot be run',
    'Correct the SQL; "millrace query --help" lists the relations.',
  ),
  ERR_QUERY_FORBIDDEN: row(
    'invalid',
    403,
    'the SQL does more than read the relations',
    'Use one SELECT over the relations.',
  ),
  ERR_QUERY_TIMEOUT: row(
    'invalid',
    408,
    'the query ran past query.timeoutMs',
    'Narrow the query, or raise query.timeoutMs.',
  ),
  ERR_QUERY_MEMORY: row(
    'invalid',
    400,
    'the query needs more memory than query.memoryBytesMax',
    'Select less, or raise query.memoryBytesMax.',
  ),

  // The world's fault.
  ERR_OVERLOADED: row(
    'unavailable',
    503,
    'more bodies wait in memory than ingest.inFlightBytesMax allows',
    'Send it again after the seconds that Retry-After names.',
  ),
  ERR_DISK_FULL: row(
    'unavailable',
    503,
    'the disk has no room',
    'Free space or raise the limit; the pipeline goes on by itself.',
  ),
  ERR_PATH_REFUSED: row(
    'unavailable',
    503,
    'the system refuses a file or folder',
    'Check what lies at the path, its owner and its rights, or use another --data.',
  ),
  ERR_LOG_BEHIND: row(
    'unavailable',
    503,
    'the log holds more unprocessed bytes than log.behindBytesMax',
    'Wait: the jobs are catching up.',
  ),
  ERR_LOG_WRITE: row(
    'unavailable',
    503,
    'the log could not be written',
    'Look at the disk; the cause is in the log.',
  ),
  ERR_LOG_CLOSED: row('unavailable', 503, 'the log is closing', 'Try again once the service is up.'),
  ERR_STORE_UNAVAILABLE: row(
    'unavailable',
    503,
    'a store does not answer',
    'Look at the component that status names.',
  ),
  ERR_STORE_AUTH: row(
    'unavailable',
    503,
    'a store refuses the login',
    'Correct the user and the secret that the configuration refers to.',
  ),
  ERR_STORE_RIGHTS: row(
    'unavailable',
    503,
    'a store does not let its user do what the pipeline must',
    'Grant the right that is named.',
  ),
  ERR_STORE_FULL: row(
    'unavailable',
    503,
    'a store has no room',
    'Give it more memory or disk; the pipeline goes on by itself.',
  ),
  ERR_STORE_READ_ONLY: row(
    'unavailable',
    503,
    'a store takes no writes',
    'Point the configuration to the primary, or end its read-only mode.',
  ),
  ERR_TOPIC_MISSING: row(
    'unavailable',
    503,
    'a topic is not on the broker',
    'Create it: millrace run KafkaSetup',
  ),
  ERR_REPLICAS_TOO_FEW: row(
    'unavailable',
    503,
    'there are too few brokers for the copies that are asked for',
    'Start the missing brokers, or lower kafka.replication and kafka.minInsync.',
  ),
  ERR_TRANSACTION_OPEN: row(
    'unavailable',
    503,
    'a transaction on Kafka is open for longer than brokers leave one open',
    'Kafka finds and ends it: kafka-transactions.sh find-hanging, then abort. What it wrote there is dropped then, ' +
      'although what it wrote elsewhere may stand.',
  ),
  ERR_CLIENT_MISSING: row(
    'unavailable',
    503,
    'the client of a store is not installed',
    'Run: millrace up, which builds it once; "millrace doctor" says what that needs.',
  ),
  ERR_LOG_FENCED: row(
    'unavailable',
    503,
    "another process has taken this one's place",
    'Nothing to do: it leaves, and what it had not committed is processed by the other one.',
  ),
  ERR_HOST_COMMAND: row(
    'unavailable',
    503,
    'a command on the host failed',
    'See what it said; run the operation again once the cause is gone.',
  ),
  ERR_TOOL_MISSING: row(
    'unavailable',
    503,
    'a program that this needs is not on the host',
    'Install the program that is named.',
  ),
  ERR_DOWNLOAD_CHANGED: row(
    'unavailable',
    503,
    'a downloaded file is not the one that the lock file names',
    'Do not use it: look at what the mirror serves, remove the file that is named, run the operation again.',
  ),
  ERR_NOT_SERVING: row('unavailable', 503, 'no serving process was found', 'Start it: millrace up'),
  ERR_NOT_READY: row('unavailable', 503, 'not everything is ready', 'Look at the component that is named.'),
  ERR_OBJECT_CONFLICT: row(
    'unavailable',
    503,
    'an archive object of that name holds something else',
    'Move the object aside and run: millrace archive flush',
  ),
  ERR_OWNED: row(
    'unavailable',
    503,
    'another process owns the data directory',
    'Stop it, or use another --data.',
  ),
  ERR_PORT_TAKEN: row('unavailable', 503, 'the port is in use', 'Pass another one: --port N'),

  ...OPERATION_ERRORS,

  // The operator's fault.
  ERR_CONFIG_INVALID: row('misuse', 400, 'the configuration is not valid', 'Correct the key that is named.'),
  ERR_DATA_FORMAT: row(
    'misuse',
    400,
    'the data directory was written by another version',
    'Use the version that wrote it, or another --data.',
  ),
  ERR_USAGE: row('misuse', 400, 'the command line is not valid', 'See --help.'),
  ERR_SCHEMA_INVALID: row(
    'misuse',
    400,
    'a schema of events cannot be used',
    'Correct or remove the file that is named.',
  ),
  ERR_SCHEMA_INCOMPATIBLE: row(
    'misuse',
    409,
    'the schema refuses events that the version before accepts',
    'Keep the field that is named as it was, or add the schema with --incompatible.',
  ),
  ERR_FILE_UNREADABLE: row('misuse', 400, 'the file cannot be read', 'Check the path and its rights.'),
  ERR_TOPIC_UNKNOWN: row('misuse', 404, 'there is no such topic', 'millrace topics list shows them.'),
  ERR_JOB_UNKNOWN: row('misuse', 404, 'there is no such job', 'millrace job list shows them.'),
} as const satisfies Record<string, ErrorRow>;

/** The name of an error; stable, part of the surface. */
export type ErrorCode = keyof typeof ERRORS;

/** An error as a document: what HTTP answers and `--json` prints under `error`. */
export interface ErrorDocument {
  readonly code: ErrorCode;
  readonly message: string;
  readonly why: string;
  readonly remedy: string;
}

/**
 * The one error the product throws on purpose. `why` says what was seen (a path, a value, a pid); the table
 * holds message and remedy, and a more exact remedy may replace the table's.
 */
export class MillraceError extends Error {
  readonly code: ErrorCode;
  readonly why: string;
  readonly remedy: string;

  constructor(
    code: ErrorCode,
    why: string,
    options: { readonly cause?: unknown; readonly remedy?: string } = {},
  ) {
    super(ERRORS[code].message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'MillraceError';
    this.code = code;
    this.why = why;
    this.remedy = options.remedy ?? ERRORS[code].remedy;
  }

  /** Whose fault it is. */
  get kind(): ErrorKind {
    return ERRORS[this.code].kind;
  }

  /** The HTTP status that says it. */
  get httpStatus(): number {
    return ERRORS[this.code].httpStatus;
  }

  /** The document that HTTP answers and `--json` prints. */
  toDocument(): ErrorDocument {
    return { code: this.code, message: this.message, why: this.why, remedy: this.remedy };
  }
}

/** The exit code of a command that failed with the error: 2 where the operator can mend the call, else 1. */
export function exitCodeOf(error: unknown): number {
  return error instanceof MillraceError && error.kind === 'misuse' ? 2 : 1;
}

/** A broken invariant of ours, never the data's or the operator's. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** Ends an exhaustive switch. */
export function assertNever(value: never): never {
  throw new Error(`assertion failed: unexpected value ${JSON.stringify(value)}`);
}
