/** A JSON Schema, as far as the documents need it. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly enum?: readonly string[];
  readonly $ref?: string;
  readonly allOf?: readonly JsonSchema[];
}

const TEXT: JsonSchema = { type: 'string' };
const COUNT: JsonSchema = { type: 'integer' };
const TIME: JsonSchema = { type: 'integer', description: 'Epoch milliseconds UTC.' };
const SWITCH: JsonSchema = { type: 'boolean' };
const ANY: JsonSchema = {};
const ANY_OBJECT: JsonSchema = { type: 'object', additionalProperties: true };
const TEXT_OR_NULL: JsonSchema = { type: ['string', 'null'] };
const OBJECT_OR_NULL: JsonSchema = { type: ['object', 'null'], additionalProperties: true };
const COUNT_OR_NULL: JsonSchema = { type: ['integer', 'null'] };

/** An object whose members are all required; others may be added in time. */
const object = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});
const list = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

const POSITION = { topic: TEXT, partition: COUNT, offset: COUNT };
const RANGES = list(object({ fromOffset: COUNT, toOffset: COUNT }));
const COMPONENT = object({
  name: TEXT,
  adapter: TEXT,
  state: { type: 'string', enum: ['ok', 'degraded', 'failed'] },
  detail: TEXT,
});
const CHANGE = object({ step: TEXT, what: TEXT, before: TEXT_OR_NULL, after: TEXT_OR_NULL });
const EVENT_ROW = {
  id: TEXT,
  outcome: { type: 'string', enum: ['emit', 'reject', 'drop', 'duplicate'] },
  receivedAtMs: TIME,
  eid: TEXT_OR_NULL,
  mid: TEXT_OR_NULL,
  did: TEXT_OR_NULL,
  channel: TEXT_OR_NULL,
  pdataId: TEXT_OR_NULL,
  userId: TEXT_OR_NULL,
  ets: COUNT_OR_NULL,
  job: TEXT_OR_NULL,
  code: TEXT_OR_NULL,
  ...POSITION,
};
const SCHEMA_ROW = {
  eid: TEXT,
  eventVersion: TEXT,
  version: COUNT,
  origin: { type: 'string', enum: ['shipped', 'own'] },
  state: { type: 'string', enum: ['draft', 'published', 'retired'] },
  digest: TEXT,
  breaks: list(object({ pointer: TEXT, message: TEXT })),
} as const;
const SCHEMA_STATE = {
  digest: TEXT,
  shippedDigest: TEXT,
  workers: list(object({ worker: COUNT, digest: TEXT_OR_NULL, detail: TEXT })),
};
const ENVELOPE = {
  id: { type: 'string', enum: ['api.telemetry', 'api.health'] },
  ver: TEXT,
  ets: TIME,
  params: { type: 'object', properties: { err: TEXT, errmsg: TEXT } },
  responseCode: { type: 'string', enum: ['SUCCESS', 'CLIENT_ERROR', 'SERVER_ERROR'] },
};

/** Schemas of what the routes take and answer; shapes of `core/documents.ts`. */
export const SCHEMAS = {
  Error: object({ error: object({ code: TEXT, message: TEXT, why: TEXT, remedy: TEXT }) }),
  Envelope: object(ENVELOPE),
  Health: object({ ...ENVELOPE, components: list(COMPONENT) }),
  Batch: {
    type: 'object',
    properties: {
      id: TEXT,
      ver: TEXT,
      mid: TEXT,
      params: { type: 'object', properties: { msgid: TEXT, did: TEXT } },
      events: list(ANY_OBJECT),
    },
    required: ['events'],
    additionalProperties: true,
  },
  Index: object({ name: TEXT, version: TEXT, routes: list(TEXT) }),
  Version: {
    type: 'object',
    properties: { version: TEXT, schemasDigest: TEXT },
    required: ['version', 'schemasDigest'],
    additionalProperties: true,
  },
  OpenApi: ANY_OBJECT,
  MetricsText: TEXT,

  Topic: object({
    topic: TEXT,
    records: COUNT,
    stored: SWITCH,
    bytes: COUNT,
    partitions: list(object({ partition: COUNT, startOffset: COUNT, endOffset: COUNT })),
    groups: list(object({ group: TEXT, lag: COUNT })),
  }),
  Topics: object({ topics: list(ref('Topic')) }),
  TailRecord: object({ ...POSITION, timeMs: TIME, key: TEXT_OR_NULL, value: ANY }),
  AnyLine: { description: 'A record: one JSON object. What is not becomes a failed record.' },
  Produced: object({ produced: COUNT }),

  Trace: object({
    mid: TEXT,
    sightings: list(
      object({
        receivedAtMs: TIME,
        source: object({ ...POSITION, index: COUNT }),
        stages: list(
          object({
            stage: TEXT,
            timeMs: TIME,
            topic: TEXT_OR_NULL,
            partition: COUNT_OR_NULL,
            offset: COUNT_OR_NULL,
            outcome: { type: 'string', enum: ['emit', 'reject', 'drop'] },
            code: TEXT_OR_NULL,
            reason: TEXT_OR_NULL,
            pointer: TEXT_OR_NULL,
          }),
        ),
        archive: list(object({ object: TEXT, line: COUNT })),
      }),
    ),
  }),
  FailedRow: object({
    id: TEXT,
    timeMs: TIME,
    job: TEXT,
    code: TEXT,
    reason: TEXT,
    pointer: TEXT_OR_NULL,
    mid: TEXT_OR_NULL,
    ...POSITION,
  }),
  FailedList: object({ failed: list(ref('FailedRow')), next: TEXT_OR_NULL }),
  FailedEvent: { allOf: [ref('FailedRow'), object({ event: ANY })] },
  Events: object({ events: list(ref('EventRow')), next: TEXT_OR_NULL }),
  EventRow: object(EVENT_ROW),
  Event: object({
    ...EVENT_ROW,
    reason: TEXT_OR_NULL,
    pointer: TEXT_OR_NULL,
    source: ANY,
    event: ANY,
  }),
  Sampled: object({ accepted: COUNT }),
  Relations: object({ relations: list(object({ relation: TEXT, columns: list(TEXT) })) }),
  Pulse: object({
    timeMs: TIME,
    status: ref('Status'),
    topics: list(ref('Topic')),
    lastReceivedAtMs: COUNT_OR_NULL,
    lastRejectedAtMs: COUNT_OR_NULL,
    disk: ANY_OBJECT,
    ingest: ANY_OBJECT,
    memory: ANY_OBJECT,
  }),
  AssetText: TEXT,
  QueryRequest: object({ sql: TEXT }),
  QueryResult: object({
    columns: list(object({ name: TEXT, type: TEXT })),
    rows: list(ANY_OBJECT),
    truncated: SWITCH,
  }),
  CacheLine: object({ key: TEXT, value: ANY_OBJECT }),
  CacheRow: ANY_OBJECT,
  Loaded: object({ loaded: COUNT }),

  Status: object({
    state: { type: 'string', enum: ['starting', 'serving', 'stopping'] },
    version: TEXT,
    environment: TEXT,
    uptimeMs: COUNT,
    components: list(COMPONENT),
    conservation: list(
      object({
        job: TEXT,
        received: COUNT,
        emitted: COUNT,
        rejected: COUNT,
        dropped: COUNT,
        derived: COUNT,
        balanced: SWITCH,
      }),
    ),
    edges: list(
      object({
        topic: TEXT,
        reader: TEXT,
        emitted: COUNT,
        received: COUNT,
        waiting: COUNT,
        balanced: SWITCH,
      }),
    ),
    counters: { type: 'object', additionalProperties: COUNT },
    workers: list(object({ role: TEXT, schemasDigest: TEXT })),
    schemas: object({ digest: TEXT, shippedDigest: TEXT }),
    quarantined: list(object({ topic: TEXT, partition: COUNT, fromOffset: COUNT, toOffset: COUNT })),
    idle: SWITCH,
  }),
  Jobs: object({
    jobs: list(object({ job: TEXT, replaces: TEXT, does: TEXT, inputs: list(TEXT), outputs: list(TEXT) })),
  }),

  SchemaRow: object(SCHEMA_ROW),
  Schemas: object({
    ...SCHEMA_STATE,
    schemas: list(ref('SchemaRow')),
    sets: list(
      object({
        digest: TEXT,
        publishedAtMs: TIME,
        versions: { type: 'object', additionalProperties: COUNT },
      }),
    ),
  }),
  Schema: object({ ...SCHEMA_ROW, schema: ANY_OBJECT }),
  SchemaAdd: {
    type: 'object',
    properties: { schema: ANY_OBJECT, incompatible: SWITCH },
    required: ['schema'],
  },
  SchemaAdded: object({
    ...SCHEMA_ROW,
    changed: SWITCH,
    warnings: list(object({ severity: TEXT, pointer: TEXT, message: TEXT })),
  }),
  SchemaPublish: { type: 'object', properties: { digest: TEXT } },
  SchemasPublished: object({
    ...SCHEMA_STATE,
    changed: SWITCH,
    published: list(object({ eid: TEXT, version: COUNT_OR_NULL })),
  }),

  ArchiveStatus: object({
    topics: list(object({ topic: TEXT, partition: COUNT, archivedTo: COUNT, endOffset: COUNT })),
  }),
  ArchiveVerify: object({
    ok: SWITCH,
    topics: list(
      object({
        topic: TEXT,
        partitions: list(
          object({
            partition: COUNT,
            archivedTo: COUNT,
            gaps: RANGES,
            overlaps: RANGES,
            quarantined: RANGES,
            damaged: list(TEXT),
          }),
        ),
      }),
    ),
  }),
  ArchiveObjects: object({
    objects: list(
      object({
        object: TEXT,
        topic: TEXT,
        partition: COUNT,
        fromOffset: COUNT,
        toOffset: COUNT,
        records: COUNT,
        sizeBytes: COUNT,
        sha256: TEXT,
      }),
    ),
  }),
  Operations: object({ environment: TEXT, protected: SWITCH, operations: list(ref('Operation')) }),
  Operation: object({
    path: TEXT,
    title: TEXT,
    does: TEXT,
    target: { type: 'string', enum: ['embedded', 'host', 'external'] },
    state: { type: 'string', enum: ['absent', 'drifted', 'partial', 'applied', 'failed'] },
    needs: list(TEXT),
    receipt: TEXT_OR_NULL,
    last: OBJECT_OR_NULL,
    missing: list(TEXT),
  }),
  OperationDescription: {
    allOf: [
      ref('Operation'),
      object({
        aliases: list(TEXT),
        parameters: list(object({ original: TEXT, flag: TEXT_OR_NULL, because: TEXT })),
        standIn: TEXT_OR_NULL,
        changes: list(CHANGE),
        observed: ANY_OBJECT,
        undo: OBJECT_OR_NULL,
      }),
    ],
  },
  Plan: object({
    plan: list(object({ operation: TEXT, changes: list(CHANGE) })),
    changes: COUNT,
    environment: TEXT,
    paths: list(TEXT),
    jobs: list(TEXT),
    configDigest: TEXT,
    releaseDigest: TEXT,
  }),
  RunRequest: {
    type: 'object',
    properties: { paths: list(TEXT), jobs: list(TEXT), only: SWITCH, confirm: TEXT },
    required: ['paths'],
  },
  UndoRequest: { type: 'object', properties: { path: TEXT, confirm: TEXT }, required: ['path'] },
  RunLine: {
    description:
      'An event of the run; the last line is its summary: receipts, changes, ok, and error where it failed.',
    type: 'object',
    additionalProperties: true,
  },
  RunState: object({ running: SWITCH, verb: TEXT, paths: list(TEXT), startedAtMs: COUNT_OR_NULL }),
  Cancelled: object({ cancelled: SWITCH }),
  Receipts: object({
    receipts: list(
      object({
        id: TEXT,
        operation: TEXT,
        environment: TEXT,
        startedAtMs: TIME,
        durationMs: COUNT,
        outcome: { type: 'string', enum: ['applied', 'unchanged', 'partial', 'failed'] },
        configDigest: TEXT,
        releaseDigest: TEXT,
        observed: ANY_OBJECT,
      }),
    ),
    runs: list(ANY_OBJECT),
    intact: SWITCH,
  }),
  Checks: object({
    checks: list(
      object({
        id: TEXT,
        severity: { type: 'string', enum: ['block', 'warn'] },
        ok: SWITCH,
        found: TEXT,
        remedy: TEXT,
      }),
    ),
  }),
  ArchiveLine: { description: 'The value of one record.' },
} as const satisfies Record<string, JsonSchema>;

/** The name of a schema under `#/components/schemas/`. */
export type SchemaName = keyof typeof SCHEMAS;
