import { join } from 'node:path';
import type { OwnedLog } from '../../src/adapters/log/log-contract.ts';
import { openEmbeddedState } from '../../src/adapters/state/embedded-state.ts';
import type { Config } from '../../src/config/options.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { Job } from '../../src/core/job.ts';
import { partitionOf } from '../../src/core/partition.ts';
import type {
  ArchiveIndex,
  Cache,
  Consumer,
  Log,
  ObjectStore,
  StateStore,
  TableStore,
} from '../../src/core/ports.ts';
import type { NewRecord } from '../../src/core/record.ts';
import { fullTopic } from '../../src/core/topics.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { type Archive, createArchive } from '../../src/runtime/archive/archive.ts';
import { changeLayout } from '../../src/runtime/layout-change.ts';
import { type Runner, type RunnerOptions, startRunner } from '../../src/runtime/runner.ts';
import { archivedTopics, type Layout, type Segment } from '../../src/runtime/segments.ts';
import { startTablesSink, type TablesSink } from '../../src/runtime/tables/tables-sink.ts';
import type { FaultyPorts } from './faulty-ports.ts';
import type { Scheduler } from './scheduler.ts';

/** What survives a process, and what each one is started with. */
export interface Machine {
  readonly scheduler: Scheduler;
  readonly ports: FaultyPorts;
  readonly log: OwnedLog;
  readonly objects: ObjectStore;
  readonly tables: TableStore & ArchiveIndex;
  readonly cache: Pick<Cache, 'get'>;
  /** Folder of the dedup state: its seeds and snapshots. */
  readonly directory: string;
  readonly config: Config;
  readonly environment: string;
  readonly jobs: readonly Job[];
  /** Commits from one snapshot of the dedup state to the next. */
  readonly snapshotEvery: number;
  readonly chunkBytes: number;
  /** Chunks in the jobs at once. */
  readonly chunksMax: number;
  nowMs(): number;
}

const LOGGER = createLogger('silent', 'simulation');

/**
 * One life of the pipeline's process: the same parts, wired as the threads wire them, on ports that fail.
 * Whatever cannot go on ends the whole process, as it does there.
 */
export class PipelineProcess {
  readonly layout: Layout;
  /** Rejects when the process is gone, for whatever reason. */
  readonly gone: Promise<never>;
  readonly #machine: Machine;
  readonly #end = Promise.withResolvers<never>();
  readonly #opened = new Set<Consumer>();
  readonly #log: Log;
  readonly #runners: Runner[] = [];
  #state: StateStore | undefined;
  #sink: TablesSink | undefined;
  #archive: Archive | undefined;
  isGone = false;
  /** Why it ended by itself; an `unavailable` error is the world's doing, anything else is a bug. */
  failure: unknown = null;
  #isReady = false;

  constructor(machine: Machine, layout: Layout) {
    this.#machine = machine;
    this.layout = layout;
    this.#log = machine.ports.log(machine.log, this.#opened);
    this.gone = this.#end.promise;
    this.gone.catch(() => {});
  }

  /** Opens the state, then starts the threads. What they do from then on takes turns. */
  async start(): Promise<void> {
    const { log, directory, config, ports, snapshotEvery } = this.#machine;
    const state = await openEmbeddedState({
      directory: join(directory, 'state'),
      ttlMs: config['dedup.ttlMs'],
      marksFrom: position => log.marksFrom(position),
      keepFrom: position => log.keepFrom('dedup', position),
      warn: message => this.#fail(new Error(message)),
      isDue: commits => commits >= snapshotEvery,
    });
    this.#state = ports.state(state);
    this.#act('chain', false, () => this.#startChain());
    this.#act('tables', false, () => this.#startTables());
    this.#startArchive();
  }

  /** True once requests would be answered. */
  get isReady(): boolean {
    return this.#isReady && !this.isGone;
  }

  get archive(): Archive {
    return this.#archive!;
  }

  /** Stores a record in an input topic as ingest does; `make` is called when it takes effect. */
  async append(name: string, make: () => NewRecord): Promise<void> {
    const { log, ports, environment } = this.#machine;
    const topic = fullTopic(environment, name);
    const effect = () => {
      const record = make();
      const partition = partitionOf(Buffer.from(record.key ?? ''), log.partitionCount(topic));
      return log.commit({ appends: [{ topic, partition, records: [record] }] });
    };
    await this.#request('ingest', () =>
      ports.call({ port: 'log', what: 'commit', effect, mayFailDone: false }),
    );
  }

  /** Calls on behalf of a client; rejects when the process goes. */
  async #request<T>(name: string, call: () => Promise<T>): Promise<T> {
    const actor = { name, isMortal: true, isComputing: false };
    return Promise.race([this.#machine.scheduler.run(actor, call), this.gone]);
  }

  /** Flushes the archive as the operator's command does. */
  flush(): Promise<unknown> {
    return this.#request('flush', () => this.archive.flush());
  }

  /** Verifies the archive, which must be whole at any moment; undefined where a store failed meanwhile. */
  async verify() {
    const actor = { name: 'verify', isMortal: true, isComputing: true };
    try {
      return await Promise.race([this.#machine.scheduler.run(actor, () => this.archive.verify()), this.gone]);
    } catch (error) {
      if (isUnavailable(error)) return undefined;
      throw error;
    }
  }

  /** SIGKILL: nothing of it goes on. */
  kill(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#machine.scheduler.dropMortals();
    for (const consumer of this.#opened) void consumer.close();
    this.#end.reject(new MillraceError('ERR_NOT_SERVING', 'the process is gone'));
  }

  /** SIGTERM: each part finishes what it has in hand. */
  stop(): void {
    this.#isReady = false;
    this.#act('stop', false, async () => {
      await Promise.all(this.#runners.map(runner => runner.stop()));
      await Promise.all([this.#sink?.stop(), this.#archive?.stop()]);
      await this.#state?.close();
      this.kill();
    });
  }

  async #startChain(): Promise<void> {
    const { environment, jobs } = this.#machine;
    await changeLayout({
      log: this.#log,
      layout: this.layout,
      jobs,
      environment,
      drain: async (segment, isStored) => {
        const runner = await startRunner({ ...this.#runnerOptions(), segment, isStored, endsCaughtUp: true });
        await runner.done;
      },
    });
    await Promise.all(this.layout.segments.map(segment => this.#startSegment(segment)));
    this.#isReady = true;
  }

  /** Resolves when the segment reads; it runs as an actor of its own. */
  #startSegment(segment: Segment): Promise<void> {
    const reads = Promise.withResolvers<void>();
    this.#act(segment.group, false, async () => {
      const runner = await startRunner({ ...this.#runnerOptions(), segment });
      this.#runners.push(runner);
      reads.resolve();
      await runner.done;
    });
    return reads.promise;
  }

  #runnerOptions(): Omit<RunnerOptions, 'segment'> {
    const { config, environment, ports, cache, chunksMax } = this.#machine;
    return {
      isStored: this.layout.isStored,
      environment,
      log: this.#log,
      state: this.#state!,
      cache: ports.cache(cache),
      ttlMs: config['dedup.ttlMs'],
      limits: { recordsMax: config['chain.batchRecordsMax'], bytesMax: config['chain.batchBytesMax'] },
      chunkBytes: this.#machine.chunkBytes,
      ...(chunksMax === 1 ? {} : { chunksMax }),
      logger: LOGGER,
      pause: () => this.#machine.scheduler.turn('pause'),
    };
  }

  async #startTables(): Promise<void> {
    const { ports, tables } = this.#machine;
    this.#sink = await startTablesSink({ ...this.#common(), tables: ports.tables(tables) });
    await this.#sink.done;
  }

  #startArchive(): void {
    const { ports, objects, tables, environment } = this.#machine;
    const archive = createArchive({
      ...this.#common(),
      objects: ports.objects(objects),
      index: ports.tables(tables),
      topics: archivedTopics(this.layout).map(name => fullTopic(environment, name)),
    });
    this.#archive = archive;
    this.#act('archive', true, () => {
      archive.start();
      return archive.done;
    });
  }

  #common() {
    const { config, environment, nowMs, scheduler } = this.#machine;
    return {
      log: this.#log,
      config,
      environment,
      logger: LOGGER,
      nowMs,
      pause: () => scheduler.turn('pause'),
    };
  }

  /** Runs a part; its failure is the end of the process. */
  #act(name: string, isComputing: boolean, call: () => Promise<unknown>): void {
    const actor = { name, isMortal: true, isComputing };
    this.#machine.scheduler.run(actor, call).catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (this.isGone) return;
    this.failure = error;
    this.kill();
  }
}

/** Whether an error is one that the world is to blame for. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof MillraceError && error.kind === 'unavailable';
}
