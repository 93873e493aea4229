import { packageVersion } from '../config/environment.ts';
import { configDigest } from '../config/load.ts';
import type { Config } from '../config/options.ts';
import { resolveSecret } from '../config/secret.ts';
import type { ComponentDocument } from '../core/documents.ts';
import { partitionOf } from '../core/partition.ts';
import { fullTopic } from '../core/topics.ts';
import { armFailpoint } from '../observability/failpoint.ts';
import { draftOn } from '../runtime/list-draft.ts';
import { createIngest } from '../services/ingest/ingest.ts';
import { createIngestMeter } from '../services/ingest/meter.ts';
import type { StampedRecord } from '../services/ingest/stamp-batch.ts';
import { type ConsoleFiles, readConsole } from '../services/query/console-files.ts';
import type { OperationsApi } from '../services/query/operations-api.ts';
import { createServer } from '../services/query/server.ts';
import { createBackend } from './backend.ts';
import { openPipeline, type Pipeline } from './compose.ts';
import { openSchemaDesk } from './compose-schemas.ts';
import { buildConsole } from './console-build.ts';
import { announce, operatorToken, withdraw } from './data-directory.ts';
import { sendSamples } from './send-sample.ts';
import { stopSignal } from './stop-signal.ts';

/** What `up` passes on. */
export interface ServeSettings {
  readonly config: Config;
  readonly environment: string;
  readonly dataDirectory: string;
  /** The files that run, for `/version`. */
  readonly release?: { readonly id: string; readonly digest: string; readonly schemasDigest: string };
  /** Answers the routes of operations; absent, they answer 404. */
  readonly operations?: OperationsApi;
  readonly print: (line: string) => void;
  /** Servers on this machine that `status` tells of beside the stores. */
  readonly servers?: () => readonly ComponentDocument[];
}

/**
 * Brings an environment up and serves it until SIGTERM or SIGINT; resolves after the drain. Rejects where a
 * part cannot come up, or fails for good while serving: what was not committed is processed by the next run.
 */
export async function serve(settings: ServeSettings): Promise<void> {
  const { config, environment, print } = settings;
  const startedAtMs = performance.now();
  // Before anything is opened, so that a signal during the start is not lost.
  const signal = stopSignal();
  armFailpoint(config['debug.failpoint']);
  const tokens = config['ingest.tokens'].map(reference => resolveSecret(reference));
  const building = buildConsole(print);
  const { dataDirectory } = settings;
  const pipeline = await openPipeline({ config, environment, dataDirectory, print, signal }).catch(error => {
    if (signal.aborted) return undefined;
    throw error;
  });
  if (pipeline === undefined) return;
  try {
    const console = readConsoleIn(await building);
    const { release, operations } = settings;
    const servers = settings.servers ?? (() => []);
    const parts = { config, environment, startedAtMs, tokens, console, release, operations, servers };
    const server = await startServer(pipeline, parts);
    try {
      await announce(pipeline.paths, server.url);
      print(`console ${server.url}/?token=${server.token}`);
      print(`ingest  ${server.url}/v1/telemetry`);
      print(`ready   after ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s; Ctrl-C stops`);
      await Promise.race([
        aborted(signal),
        pipeline.sinks.failed,
        ...pipeline.chain.map(({ failed }) => failed),
      ]);
      print('stopping: no new requests, finishing what was accepted');
    } finally {
      await withdraw(pipeline.paths);
      await server.close();
    }
  } finally {
    await pipeline.close();
  }
}

async function startServer(
  pipeline: Pipeline,
  options: {
    config: Config;
    environment: string;
    startedAtMs: number;
    tokens: readonly string[];
    console: ConsoleFiles | undefined;
    release: ServeSettings['release'];
    operations: OperationsApi | undefined;
    servers: () => readonly ComponentDocument[];
  },
) {
  const { config, environment, startedAtMs, release, operations } = options;
  const { log, logger } = pipeline;
  const meter = createIngestMeter();
  const token = await operatorToken(pipeline.paths, logger);
  const onBug = (error: unknown) => logger.error({ err: error }, 'request failed');
  const version = packageVersion();
  const ingest = createIngest({
    config,
    append: record => appendBatch(pipeline, fullTopic(environment, 'telemetry.ingest'), record),
    admission: () => log.admission(),
    nowMs: Date.now,
    // Who may do everything else may send too: the command line's `send` presents this one.
    tokens: options.tokens.length === 0 ? [] : [...options.tokens, token],
    meter,
    onBug,
  });
  const address = { url: '' };
  const sample = (count: number) => sendSamples({ url: address.url, token }, count);
  const schemas = await openSchemaDesk(pipeline.paths, () => pipeline.chain.map(({ calls }) => calls));
  const backend = await createBackend(pipeline, {
    environment,
    version,
    startedAtMs,
    schemas,
    servers: options.servers,
    sample,
  });
  const server = await createServer({
    config,
    environment,
    backend,
    ingest,
    meter,
    token,
    version: { version, configDigest: configDigest(config), ...releaseDocument(release) },
    operations,
    console: options.console,
    nowMs: Date.now,
    onBug,
  });
  address.url = server.url;
  return {
    url: server.url,
    token,
    async close() {
      // A run that goes on is being read by someone, whom the server would wait for.
      await Promise.all([operations?.close(), server.close()]);
      await backend.close();
    },
  };
}

function releaseDocument(release: ServeSettings['release']) {
  if (release === undefined) return {};
  const { id, digest, schemasDigest } = release;
  return { release: id, releaseDigest: digest, schemasDigest };
}

function readConsoleIn(directory: string | undefined): ConsoleFiles | undefined {
  return directory === undefined ? undefined : readConsole(directory);
}

async function appendBatch({ log }: Pipeline, topic: string, record: StampedRecord): Promise<void> {
  const partition = partitionOf(Buffer.from(record.key ?? ''), log.partitionCount(topic));
  const draft = draftOn(log);
  draft.writer(topic, partition).add(record, record.value);
  await draft.commit({});
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}
