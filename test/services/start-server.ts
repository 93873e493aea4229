import { type Config, OPTIONS } from '../../src/config/options.ts';
import type {
  Backend,
  EventRow,
  StatusDocument,
  TailDocument,
  TopicDocument,
} from '../../src/core/documents.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/event.ts';
import type { NewRecord } from '../../src/core/record.ts';
import { createIngest } from '../../src/services/ingest/ingest.ts';
import { createIngestMeter, type IngestMeter } from '../../src/services/ingest/meter.ts';
import type { StampedRecord } from '../../src/services/ingest/stamp-batch.ts';
import type { ConsoleFiles } from '../../src/services/query/console-files.ts';
import type { OperationsApi } from '../../src/services/query/operations-api.ts';
import { createServer, type RunningServer } from '../../src/services/query/server.ts';
import { storedValue } from './stored-value.ts';

/** The operator token of test servers. */
export const TOKEN = 'operator-token';
/** The clock of test servers, epoch ms. */
export const NOW_MS = 1_764_000_000_123;

/** The defaults with a free port and what a test changes. */
export function aConfig(changes: Partial<Config> = {}): Config {
  const fallbacks = Object.fromEntries(Object.entries(OPTIONS).map(([key, spec]) => [key, spec.fallback]));
  return { ...(fallbacks as unknown as Config), 'http.port': 0, ...changes };
}

/** What stands behind a test server, on memory; its fields may be replaced while it runs. */
export interface World {
  readonly records: NewRecord[];
  readonly produced: { topic: string; lines: string[] }[];
  readonly cache: Map<string, JsonObject>;
  readonly tail: TailDocument[];
  readonly bugs: unknown[];
  status: StatusDocument;
  admission: MillraceError | null;
  append: (record: StampedRecord) => Promise<void>;
}

/** A running server and what it stands on; closed by `await using`. */
export interface TestServer extends AsyncDisposable {
  readonly server: RunningServer;
  readonly url: string;
  readonly world: World;
  /** What the routes ask; its functions may be replaced while the server runs. */
  readonly backend: { -readonly [K in keyof Backend]: Backend[K] };
  readonly meter: IngestMeter;
}

/** Starts a server on a free port of loopback. */
export async function startServer(
  options: {
    readonly config?: Partial<Config>;
    readonly tokens?: readonly string[];
    readonly console?: ConsoleFiles;
    readonly operations?: OperationsApi;
  } = {},
): Promise<TestServer> {
  const config = aConfig(options.config);
  const world = createWorld();
  const backend = createBackend(world);
  const meter = createIngestMeter();
  const shared = { config, meter, nowMs: () => NOW_MS, onBug: (error: unknown) => world.bugs.push(error) };
  const ingest = createIngest({
    ...shared,
    tokens: options.tokens ?? [],
    append: record => world.append(record),
    admission: () => world.admission,
  });
  const server = await createServer({
    ...shared,
    environment: 'local',
    backend,
    ingest,
    token: TOKEN,
    version: { version: '0.1.0' },
    console: options.console,
    operations: options.operations,
  });
  return { server, url: server.url, world, backend, meter, [Symbol.asyncDispose]: () => server.close() };
}

/** Asks the API as the operator. */
export function ask(test: TestServer, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${TOKEN}`, ...init.headers };
  return fetch(test.url + path, { redirect: 'manual', ...init, headers });
}

/** Posts a batch, or any text, to an ingest path. */
export function post(
  test: TestServer,
  body: object | string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return postBytes(test, bytes, headers);
}

/** Posts bytes to an ingest path. */
export function postBytes(
  test: TestServer,
  bytes: Buffer<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${test.url}/v1/telemetry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: bytes,
  });
}

const DIGEST = 'd'.repeat(64);

const SCHEMA_ROW = {
  eid: 'SURVEY',
  eventVersion: '3.0',
  version: 1,
  origin: 'own',
  state: 'published',
  digest: DIGEST,
  breaks: [],
} as const;

const SCHEMA_STATE = {
  digest: DIGEST,
  shippedDigest: DIGEST,
  workers: [{ worker: 0, digest: DIGEST, detail: '' }],
};

/** Schemas that answer what they were asked with. */
const SCHEMA_DESK: Backend['schemas'] = {
  digest: () => DIGEST,
  shippedDigest: () => DIGEST,
  list: async () => ({ ...SCHEMA_STATE, schemas: [SCHEMA_ROW], sets: [] }),
  show(eid) {
    if (eid !== 'SURVEY') throw new MillraceError('ERR_NOT_FOUND', eid);
    return { ...SCHEMA_ROW, schema: {} };
  },
  add: async (schema, isIncompatible) => ({
    ...SCHEMA_ROW,
    changed: isIncompatible,
    warnings: [{ severity: 'warning', pointer: '', message: JSON.stringify(schema) }],
  }),
  publish: async digest => ({ ...SCHEMA_STATE, digest: digest ?? DIGEST, changed: true, published: [] }),
};

function createWorld(): World {
  const records: NewRecord[] = [];
  return {
    records,
    produced: [],
    cache: new Map(),
    tail: Array.from({ length: 70 }, (_, offset) => aTailRecord(offset)),
    bugs: [],
    admission: null,
    append: async record => {
      records.push({ ...record, value: storedValue(record) });
    },
    status: {
      state: 'serving',
      version: '0.1.0',
      environment: 'local',
      uptimeMs: 1,
      components: [{ name: 'log', adapter: 'memory', state: 'ok', detail: '' }],
      conservation: [
        { job: 'validate', received: 20, emitted: 17, rejected: 3, dropped: 0, derived: 4, balanced: true },
      ],
      edges: [],
      counters: {},
      schemas: { digest: DIGEST, shippedDigest: DIGEST },
      workers: [],
      quarantined: [],
      idle: true,
    },
  };
}

function aTailRecord(offset: number): TailDocument {
  return {
    topic: 'local.telemetry.failed',
    partition: 0,
    offset,
    timeMs: NOW_MS,
    key: null,
    value: { offset },
  };
}

const FAILED_ROW = {
  id: 'local.telemetry.failed:0:3',
  timeMs: NOW_MS,
  job: 'validate',
  code: 'ERR_SCHEMA_VIOLATION',
  reason: 'actor.id is missing',
  pointer: '/actor/id',
  mid: 'm-1',
  topic: 'local.telemetry.failed',
  partition: 0,
  offset: 3,
} as const;

/** What `GET /v1/events` finds. */
export const EVENT_ROW: EventRow = {
  id: 'emit:local.druid.events.telemetry:0:3:0',
  outcome: 'emit',
  receivedAtMs: NOW_MS,
  eid: 'START',
  mid: 'm-1',
  did: 'd-1',
  channel: 'c-1',
  pdataId: null,
  userId: null,
  ets: NOW_MS,
  job: 'route',
  code: null,
  topic: 'local.druid.events.telemetry',
  partition: 0,
  offset: 3,
};

const VITALS = {
  lastReceivedAtMs: NOW_MS,
  lastRejectedAtMs: null,
  disk: {
    logBytes: 18_211,
    logBytesMax: 1_000_000,
    logRetentionMs: 60_000,
    tablesBytes: 4096,
    tablesRetentionMs: 60_000,
    freeBytes: 1_000_000,
    freeBytesMin: 1000,
  },
} as const;

const OBJECT = {
  object: 'telemetry.failed/0/00000000.jsonl.zst',
  topic: 'local.telemetry.failed',
  partition: 0,
  fromOffset: 0,
  toOffset: 2,
  records: 2,
  sizeBytes: 9,
  sha256: 'ab',
} as const;

function createBackend(world: World): Backend {
  const topic: TopicDocument = {
    topic: 'local.telemetry.failed',
    records: world.tail.length,
    stored: true,
    bytes: 18_211,
    partitions: [{ partition: 0, startOffset: 0, endOffset: world.tail.length }],
    groups: [{ group: 'archive', lag: 2 }],
  };
  const missing = (what: string) => new MillraceError('ERR_NOT_FOUND', what);
  const archiveStatus = { topics: [{ topic: topic.topic, partition: 0, archivedTo: 2, endOffset: 70 }] };
  return {
    status: async () => world.status,
    jobs: () => [
      { job: 'validate', replaces: 'pipeline-preprocessor', does: 'checks', inputs: [], outputs: [] },
    ],
    schemas: SCHEMA_DESK,
    topics: async () => ({ topics: [topic] }),
    tail: async (_topic, { fromOffset, recordsMax }) => world.tail.slice(fromOffset, fromOffset + recordsMax),
    produce: async (name, lines) => {
      world.produced.push({ topic: name, lines: lines.map(line => Buffer.from(line).toString()) });
      return lines.length;
    },
    trace: async mid => ({ mid, sightings: mid === 'm-1' ? [aSighting()] : [] }),
    failed: async filter => ({ failed: [FAILED_ROW], next: filter.after ?? null }),
    failedEvent: async id => {
      if (id !== FAILED_ROW.id) throw missing(id);
      return { ...FAILED_ROW, event: { eid: 'START' } };
    },
    query: async sql => ({ columns: [{ name: 'sql', type: 'text' }], rows: [{ sql }], truncated: false }),
    events: async () => ({ events: [EVENT_ROW], next: null }),
    event: async id => {
      if (id !== EVENT_ROW.id) throw missing(id);
      return { ...EVENT_ROW, reason: null, pointer: null, source: null, event: { eid: 'START' } };
    },
    vitals: async () => VITALS,
    sample: async count => count,
    cachePut: async (dataset, rows) => {
      for (const row of rows) world.cache.set(`${dataset}/${row.key}`, row.value);
    },
    cacheGet: async (dataset, key) => {
      const value = world.cache.get(`${dataset}/${key}`);
      if (value === undefined) throw missing(key);
      return value;
    },
    archiveStatus: async () => archiveStatus,
    archiveFlush: async () => archiveStatus,
    archiveVerify: async () => ({ ok: true, topics: [] }),
    archiveObjects: async () => ({ objects: [OBJECT] }),
    archiveRead: async name => {
      if (name !== OBJECT.object) throw missing(name);
      return Buffer.from('{"a":1}\n{"a":2}\n');
    },
  };
}

function aSighting() {
  const source = { topic: 'local.telemetry.ingest', partition: 0, offset: 0, index: 0 };
  return { receivedAtMs: NOW_MS, source, stages: [], archive: [] };
}
