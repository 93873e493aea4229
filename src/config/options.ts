/** How an option's text is read: files and `--set` give the same value for the same text. */
export type OptionType = 'integer' | 'text' | 'switch' | 'list' | 'secret';

/** One declared configuration key. */
export interface OptionSpec {
  readonly type: OptionType;
  /** Value where no file, variable or flag gives one. */
  readonly fallback: number | string | boolean | readonly string[];
  readonly does: string;
  /** Inclusive bounds of an integer. */
  readonly min?: number;
  readonly max?: number;
  /** The only texts allowed. */
  readonly oneOf?: readonly string[];
}

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const integer = (fallback: number, does: string, min = 0, max = Number.MAX_SAFE_INTEGER) =>
  ({ type: 'integer', fallback, does, min, max }) as const;
const text = (fallback: string, does: string) => ({ type: 'text', fallback, does }) as const;
const toggle = (fallback: boolean, does: string) => ({ type: 'switch', fallback, does }) as const;
const list = (fallback: readonly string[], does: string) => ({ type: 'list', fallback, does }) as const;
const database = (fallback: number, holds: string) =>
  integer(fallback, `Number of the database that holds ${holds}.`, 0, 16_383);
const secret = (does: string) => ({ type: 'secret', fallback: '', does }) as const;
const target = (server: string) =>
  ({
    type: 'text',
    fallback: 'external',
    oneOf: ['host', 'external'],
    does: `host: ${server} is installed and run on this machine; external: it is there already.`,
  }) as const;

/** Every configuration key, `section.keyWithUnit`. The reference and `config` are made from this table. */
export const OPTIONS = {
  'http.host': text('127.0.0.1', 'Address to listen on; anything but loopback needs http.allowedHosts.'),
  'http.port': integer(8480, 'Port of the one HTTP server; 0 picks a free one.', 0, 65535),
  'http.allowedHosts': list([], 'Host names besides loopback that requests may name.'),
  'http.connectionsMax': integer(4096, 'Connections at once; the longest idle gives way to a new one.', 16),

  'ingest.bodyBytesMax': integer(
    5 * MIB,
    'Largest batch, bytes when inflated; larger is 413.',
    1024,
    64 * MIB,
  ),
  'ingest.depthMax': integer(40, 'Deepest nesting of a batch; deeper is 400.', 4, 1000),
  'ingest.eventsMax': integer(100_000, 'Most events in one batch; more is 413.', 1),
  'ingest.requestMsMax': integer(
    30_000,
    'Longest a request may take to arrive; longer is 408.',
    100,
    HOUR_MS,
  ),
  'ingest.refusedBytesMax': integer(
    64 * MIB,
    'A refused body is read this far before the connection closes.',
    0,
  ),
  'ingest.inFlightBytesMax': integer(32 * MIB, 'Bodies held in memory at once; more is 503.', MIB),
  'ingest.tokens': list([], 'References (env:NAME or file:PATH) to tokens that ingest asks for; none: open.'),
  'ingest.allowedOrigins': text('*', 'Access-Control-Allow-Origin of the ingest routes.'),
  'ingest.dataset': text('sb-telemetry', 'dataset written into batches that name none.'),

  'log.adapter': {
    type: 'text',
    fallback: 'embedded',
    oneOf: ['embedded', 'kafka'],
    does: 'Where records lie: files of this process, or Apache Kafka.',
  },
  'log.partitions': integer(1, 'Partitions of each topic; may grow, never shrink.', 1, 256),
  'log.segmentBytes': integer(64 * MIB, 'Size at which a segment file is closed.', 64 * 1024),
  'log.retentionMs': integer(
    7 * DAY_MS,
    'Age at which a segment that every sink has passed is deleted.',
    1000,
  ),
  'log.retentionBytes': integer(
    20 * 1024 * MIB,
    'Size at which the oldest segments that every sink has passed are deleted.',
    MIB,
  ),
  'log.behindBytesMax': integer(4 * 1024 * MIB, 'Unprocessed bytes at which ingest answers 503.', MIB),
  'log.freeBytesMin': integer(256 * MIB, 'Free disk space below which ingest answers 503.', 0),
  'log.queueBytesMax': integer(64 * MIB, 'Bytes waiting for one sync; more is refused.', MIB),

  'kafka.target': target('Kafka'),
  'kafka.brokers': list([], 'Addresses, host:port. Empty where target is host.'),
  'kafka.generation': {
    type: 'text',
    fallback: 'kraft',
    oneOf: ['kraft', 'zookeeper'],
    does: 'What is started on the host: Kafka 4 by itself, or Kafka 3.9 with ZooKeeper.',
  },
  'kafka.nodes': integer(1, 'Brokers started on the host; three survive the loss of one.', 1, 3),
  'kafka.clientFolder': text(
    '',
    'Folder of the native client; empty: the one that millrace up builds once into its cache folder.',
  ),
  'kafka.tls': toggle(false, 'Whether connections are encrypted.'),
  'kafka.caFile': text(
    '',
    'PEM file of the authority that signed the brokers; empty: those the system trusts.',
  ),
  'kafka.mechanism': {
    type: 'text',
    fallback: 'scram-sha-512',
    oneOf: ['plain', 'scram-sha-256', 'scram-sha-512'],
    does: 'SASL mechanism where kafka.username is set; plain needs kafka.tls, unless the brokers are on loopback.',
  },
  'kafka.username': text('', 'User of the pipeline; empty: no login.'),
  'kafka.password': secret('Password of the user.'),
  'kafka.replication': integer(1, 'Copies of each topic that is created.', 1, 7),
  'kafka.minInsync': integer(1, 'Copies that must hold a record before it is acknowledged.', 1, 7),
  'kafka.workers': integer(
    1,
    'Processes of the chain that up starts; more may join as millrace worker.',
    0,
    64,
  ),
  'kafka.requestMsMax': integer(
    5_000,
    'Longest a write waits for the brokers; ingest answers 503 then.',
    100,
  ),

  'state.adapter': {
    type: 'text',
    fallback: 'embedded',
    oneOf: ['embedded', 'redis'],
    does: 'Where first sightings are kept: memory and files of this process, or Redis.',
  },
  'redis.target': target('Redis'),
  'redis.host': text('127.0.0.1', 'Address of Redis.'),
  'redis.port': integer(6379, 'Port of Redis; where target is host, the one it is given.', 1, 65535),
  'redis.tls': toggle(false, 'Whether connections are encrypted.'),
  'redis.caFile': text('', 'PEM file of the authority that signed Redis; empty: those the system trusts.'),
  'redis.username': text('', 'ACL user; empty: the default user.'),
  'redis.password': secret('Password of the user.'),
  'redis.batchDatabase': database(1, 'first sightings of batches, by msgid'),
  'redis.eventDatabase': database(7, 'first sightings of events, by mid'),
  'redis.routeDatabase': database(8, 'first sightings of routed events, by mid'),
  'redis.summaryDatabase': database(9, 'first sightings of summaries, by mid'),
  'redis.deviceDatabase': database(2, 'devices: hashes by device id'),
  'redis.contentDatabase': database(5, 'content, collections and questions: JSON by id'),
  'redis.dialcodeDatabase': database(6, 'dialcodes: JSON by code'),
  'redis.userDatabase': database(12, 'users: hashes by user:<id>'),
  'redis.markGraceMs': integer(
    HOUR_MS,
    'How much longer than dedup.ttlMs Redis keeps a mark: how far the jobs may lag without missing a duplicate.',
    0,
    30 * DAY_MS,
  ),

  'extract.eventBytesMax': integer(
    1_048_576,
    'Largest event, UTF-8 bytes; larger goes to telemetry.failed.',
    1,
  ),
  'redact.eids': list(
    ['ASSESS', 'RESPONSE'],
    'Events whose answers are redacted for registration questions.',
  ),
  'validate.channelDefault': text(
    'b00bc992ef25f1a9a8d63291e20efc8d',
    'Channel of an event whose channel is blank.',
  ),
  'dedup.producers': list(
    [],
    'context.pdata.id of the producers the first dedup covers; empty: <env>.sunbird.portal and <env>.sunbird.desktop.',
  ),
  'dedup.ttlMs': integer(HOUR_MS, 'How long a key is remembered.', 1000, 30 * DAY_MS),
  'flatten.secondaryEids': list(
    ['INTERACT', 'IMPRESSION', 'SHARE_ITEM'],
    'Events that take the secondary branch.',
  ),
  'denormalise.expiryMonths': integer(
    3,
    'Events older than this many calendar months are dropped.',
    1,
    12_000,
  ),
  'denormalise.skipEids': list(['INTERRUPT'], 'Events that are dropped before denormalisation.'),
  'denormalise.permitEids': list(['AUDIT'], 'Events whose object is looked up whatever its type.'),
  'denormalise.collectionMiss': toggle(
    true,
    'Value of flags.coll_denorm where the collection is not cached.',
  ),
  'route.validation': toggle(true, 'Whether the last job checks the schema.'),
  'route.deduplication': toggle(true, 'Whether the last job removes duplicates.'),

  'chain.split': list([], 'Jobs that start a new segment: the topic before each is stored.'),
  'chain.batchRecordsMax': integer(512, 'Records of one batch of the chain.', 1, 65536),
  'chain.batchBytesMax': integer(
    MIB,
    'Bytes of one batch of the chain; beyond 1 MiB, no more than it processes in a second.',
    1024,
  ),
  'topics.store': {
    type: 'text',
    fallback: 'edges',
    oneOf: ['edges', 'all'],
    does: 'all: store the topics between fused jobs too.',
  },

  'archive.enabled': toggle(true, 'Whether stored topics are archived.'),
  'archive.codec': {
    type: 'text',
    fallback: 'zstd',
    oneOf: ['zstd', 'gzip'],
    does: 'Compression of archive objects.',
  },
  'archive.objectBytes': integer(16 * MIB, 'Uncompressed bytes at which an object is written.', 1024),
  'archive.openBytesMax': integer(64 * MIB, 'Uncompressed bytes held open over all topics.', MIB),
  'archive.openMsMax': integer(300_000, 'Longest a record waits for its object.', 1000),
  'tables.adapter': {
    type: 'text',
    fallback: 'sqlite',
    oneOf: ['sqlite', 'postgresql'],
    does: 'Where the queryable tables lie: a file of this process, or PostgreSQL.',
  },
  'tables.enabled': toggle(true, 'Whether events are kept in queryable tables.'),
  'tables.retentionDays': integer(7, 'Days that rows stay in the tables.', 1, 36_500),
  'tables.batchRowsMax': integer(2000, 'Rows of one transaction.', 1, 100_000),
  'postgres.target': target('PostgreSQL'),
  'postgres.host': text('127.0.0.1', 'Address of PostgreSQL.'),
  'postgres.port': integer(5432, 'Port of PostgreSQL; where target is host, the one it is given.', 1, 65535),
  'postgres.database': text('millrace', 'Database of the tables.'),
  'postgres.username': text('millrace', 'User that owns the tables.'),
  'postgres.password': secret('Password of the user.'),
  'postgres.tls': toggle(false, 'Whether connections are encrypted.'),
  'postgres.caFile': text(
    '',
    'PEM file of the authority that signed PostgreSQL; empty: those the system trusts.',
  ),
  'postgres.poolMax': integer(8, 'Connections of one process.', 2, 200),
  'postgres.statementMsMax': integer(30_000, 'Longest a statement of the sinks may take.', 100, HOUR_MS),
  'cache.adapter': {
    type: 'text',
    fallback: 'sqlite',
    oneOf: ['sqlite', 'redis'],
    does: 'Where master data lies: a file of this process, or Redis.',
  },
  'cache.rowsMax': integer(200_000, 'Master data rows held in memory by the jobs.', 1),
  'cache.bytesMax': integer(128 * MIB, 'JSON text of the master data rows held in memory by the jobs.', MIB),

  'query.timeoutMs': integer(30_000, 'Deadline of a query; it is killed then.', 100, HOUR_MS),
  'query.rowsMax': integer(10_000, 'Most rows of an answer; the rest is cut and said so.', 1, 1_000_000),
  'query.memoryBytesMax': integer(512 * MIB, 'Memory of one query.', 16 * MIB),
  'query.concurrentMax': integer(2, 'Queries that run at once; others wait.', 1, 64),

  'operations.trial': toggle(
    true,
    'Whether what run changed is tried on an instance with data of its own; up serves it instead.',
  ),

  'operations.watchMs': integer(
    30_000,
    'How long run looks on whether the servers that it changed keep running; up does as long as it serves.',
    0,
    3_600_000,
  ),
  'operations.protected': toggle(
    false,
    'Whether what changes it (run, undo, uninstall …) wants its name typed: asked for, or --confirm NAME.',
  ),
  'operations.webhook': secret(
    'Address that is told of the end of each run, as JSON; an address can be a key.',
  ),
  'operations.restartsMax': integer(
    10,
    'Starts of a crashed server without a steady minute in between, after which up gives it up.',
    1,
    1000,
  ),

  'host.portBase': integer(
    0,
    'First port of the servers started on the host; 0 picks a free block once and remembers it.',
    0,
    65_000,
  ),

  'observability.logLevel': {
    type: 'text',
    fallback: 'warn',
    oneOf: ['debug', 'info', 'warn', 'error'],
    does: 'Least severe log line that is written.',
  },
  'observability.stallMs': integer(
    60_000,
    'How long a reader may stand still while records wait for it; then it is called failed.',
    1000,
  ),
  'debug.failpoint': text(
    '',
    'Name of the durable step at which the process kills itself; for tests of recovery.',
  ),
} as const satisfies Record<string, OptionSpec>;

/** A declared key. */
export type OptionKey = keyof typeof OPTIONS;

type ValueOf<S> = S extends { readonly type: 'integer' }
  ? number
  : S extends { readonly type: 'switch' }
    ? boolean
    : S extends { readonly type: 'list' }
      ? readonly string[]
      : string;

/** The effective configuration: every declared key with its value. */
export type Config = { readonly [K in OptionKey]: ValueOf<(typeof OPTIONS)[K]> };
