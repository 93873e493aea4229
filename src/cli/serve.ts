import { readFileSync } from 'node:fs';
import { configDigest } from '../config/load.ts';
import type { Config, OptionKey } from '../config/options.ts';
import { resolveSecret } from '../config/secret.ts';
import { partitionOf } from '../core/partition.ts';
import type { NewRecord } from '../core/record.ts';
import { fullTopic } from '../core/topics.ts';
import { armFailpoint } from '../observability/failpoint.ts';
import { createIngest } from '../services/ingest/ingest.ts';
import { createIngestMeter } from '../services/ingest/meter.ts';
import { createServer } from '../services/query/server.ts';
import { createBackend } from './backend.ts';
import { openPipeline, type Pipeline } from './compose.ts';
import { announce, operatorToken, withdraw } from './data-directory.ts';

/** What `up` passes on. */
export interface ServeSettings {
  readonly config: Config;
  readonly origins: Readonly<Record<OptionKey, string>>;
  readonly environment: string;
  readonly dataDirectory: string;
  /** Instead of `http.port`. */
  readonly port?: number;
  readonly print: (line: string) => void;
}

/**
 * Brings an environment up and serves it until SIGTERM or SIGINT; resolves after the drain. Rejects where a
 * part cannot come up, or fails for good while serving: what was not committed is processed by the next run.
 */
export async function serve(settings: ServeSettings): Promise<void> {
  const { environment, print } = settings;
  const startedAtMs = Date.now();
  const config =
    settings.port === undefined ? settings.config : { ...settings.config, 'http.port': settings.port };
  // Before anything is opened, so that a signal during the start is not lost.
  const stopped = untilSignal();
  armFailpoint(config['debug.failpoint']);
  const tokens = config['ingest.tokens'].map(reference => resolveSecret(reference));
  const pipeline = await openPipeline({ config, environment, dataDirectory: settings.dataDirectory, print });
  try {
    const server = await startServer(pipeline, { config, environment, startedAtMs, tokens });
    try {
      await announce(pipeline.paths, server.url);
      print(`console ${server.url}/?token=${server.token}`);
      print(`ingest  ${server.url}/v1/telemetry`);
      print(`ready   after ${((Date.now() - startedAtMs) / 1000).toFixed(1)} s; Ctrl-C stops`);
      await Promise.race([stopped, pipeline.chain.failed, pipeline.sinks.failed]);
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
  options: { config: Config; environment: string; startedAtMs: number; tokens: readonly string[] },
) {
  const { config, environment, startedAtMs } = options;
  const { log, logger } = pipeline;
  const meter = createIngestMeter();
  const token = await operatorToken(pipeline.paths);
  const onBug = (error: unknown) => logger.error({ err: error }, 'request failed');
  const version = productVersion();
  const ingest = createIngest({
    config,
    append: record => appendBatch(pipeline, fullTopic(environment, 'telemetry.ingest'), record),
    admission: () => log.admission(),
    nowMs: Date.now,
    tokens: options.tokens,
    meter,
    onBug,
  });
  const backend = createBackend(pipeline, { config, environment, version, startedAtMs });
  const server = await createServer({
    config,
    environment,
    backend,
    ingest,
    meter,
    token,
    version: { version, configDigest: configDigest(config) },
    nowMs: Date.now,
    onBug,
  });
  return {
    url: server.url,
    token,
    async close() {
      await server.close();
      await backend.close();
    },
  };
}

async function appendBatch({ log }: Pipeline, topic: string, record: NewRecord): Promise<void> {
  const partition = partitionOf(Buffer.from(record.key ?? ''), log.partitionCount(topic));
  await log.commit({ appends: [{ topic, partition, records: [record] }] });
}

function untilSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once('SIGTERM', () => resolve());
  process.once('SIGINT', () => resolve());
  return promise;
}

/** The release that runs, from package.json. */
export function productVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
