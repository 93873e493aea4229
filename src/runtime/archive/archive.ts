import type { Config } from '../../config/options.ts';
import type { ArchiveDocument, ArchiveStatusDocument, ArchiveVerifyDocument } from '../../core/documents.ts';
import { assert, MillraceError } from '../../core/errors.ts';
import type { ArchiveIndex, Consumer, Log, ObjectStore } from '../../core/ports.ts';
import { fullTopic } from '../../core/topics.ts';
import type { Logger } from '../../observability/logger.ts';
import { type Pause, retryUnavailable } from '../back-off.ts';
import { type Cut, type CutContext, discardCut, planCut, rebuildCut, writeCut } from './cut.ts';
import { decodeIntent, type Intent } from './intent.ts';
import { ARCHIVE_GROUP, archivedOffsets, archiveStatus, beginPartitions, nextEpoch } from './offsets.ts';
import { OpenRanges, partitionKey } from './open-ranges.ts';
import { listObjects, readObject } from './stored-objects.ts';
import { quarantinedIn, verifyArchive } from './verify.ts';

/** What the archive runs on. */
export interface ArchiveOptions {
  readonly log: Log;
  readonly objects: ObjectStore;
  readonly index: ArchiveIndex;
  readonly config: Pick<
    Config,
    | 'archive.codec'
    | 'archive.objectBytes'
    | 'archive.openBytesMax'
    | 'archive.openMsMax'
    | 'chain.batchBytesMax'
  >;
  readonly environment: string;
  /** Full names of the stored topics, each once. */
  readonly topics: readonly string[];
  readonly logger: Logger;
  /** How it waits for a store; by the machine's clock where absent. */
  readonly pause?: Pause;
  nowMs(): number;
}

/** The archive's sink and what can be asked of what it wrote. */
export interface Archive {
  /** Finishes what a crash cut off, then reads until it is stopped. */
  start(): void;
  /** Ends it after the step in hand; what is held open is read again at the next start. */
  stop(): Promise<void>;
  /** Rejects when the sink cannot go on; resolves when it was stopped. */
  readonly done: Promise<void>;
  /** Resolves when every record present at the call is in an object; rejects with what keeps it from that. */
  flush(): Promise<ArchiveStatusDocument>;
  status(): Promise<ArchiveStatusDocument>;
  verify(): Promise<ArchiveVerifyDocument>;
  objects(): Promise<ArchiveDocument>;
  /** The lines of an object, uncompressed; throws ERR_NOT_FOUND. */
  read(object: string): Promise<Uint8Array>;
  /** True when everything in the log has been read: what is held open could be flushed. */
  isCaughtUp(): boolean;
  /** The error that it is waiting out; null while it works. */
  trouble(): MillraceError | null;
}

// A poll's records live until its end: of 4096, most outlived a collection of the young and were copied by it.
const POLL_RECORDS_MAX = 512;
// Also how long a flush or a stop may wait for the loop to look up.
const POLL_WAIT_MS = 200;
const INTENTS_MAX = 1000;

/** Makes the archive of the topics; nothing runs before `start`. */
export function createArchive(options: ArchiveOptions): Archive {
  return new ArchiveSink(options);
}

interface FlushWaiter {
  /** By partition, the offset that must have been read. */
  readonly ends: ReadonlyMap<string, number>;
  resolve(): void;
  reject(error: unknown): void;
}

class ArchiveSink implements Archive {
  readonly #options: ArchiveOptions;
  readonly #ranges: OpenRanges;
  readonly #stopping = new AbortController();
  readonly #finished = Promise.withResolvers<void>();
  #waiters: FlushWaiter[] = [];
  #consumer: Consumer | undefined;
  #epoch = 0;
  #isStarted = false;
  #isEnded = false;
  #trouble: MillraceError | null = null;

  constructor(options: ArchiveOptions) {
    this.#options = options;
    this.#ranges = new OpenRanges({
      objectBytes: options.config['archive.objectBytes'],
      openBytesMax: options.config['archive.openBytesMax'],
      openMsMax: options.config['archive.openMsMax'],
    });
    // Whoever stops it, or waits for `done`, hears of a failure; until then it must not end the process.
    this.#finished.promise.catch(() => {});
  }

  get done(): Promise<void> {
    return this.#finished.promise;
  }

  start(): void {
    assert(!this.#isStarted, 'the archive is started once');
    this.#isStarted = true;
    this.#run().then(this.#finished.resolve, this.#finished.reject);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#isStarted) await this.done;
  }

  async flush(): Promise<ArchiveStatusDocument> {
    const { topics } = await this.status();
    if (!this.#isStarted || this.#isEnded)
      throw new MillraceError('ERR_NOT_READY', 'the archive is not running');
    const ends = new Map(topics.map(row => [partitionKey(row.topic, row.partition), row.endOffset]));
    await new Promise<void>((resolve, reject) => this.#waiters.push({ ends, resolve, reject }));
    return this.status();
  }

  async status(): Promise<ArchiveStatusDocument> {
    return archiveStatus(await this.#options.log.describe(), this.#options.topics);
  }

  verify(): Promise<ArchiveVerifyDocument> {
    return verifyArchive(this.#options);
  }

  objects(): Promise<ArchiveDocument> {
    return listObjects(this.#options);
  }

  read(object: string): Promise<Uint8Array> {
    return readObject(this.#options.objects, object);
  }

  isCaughtUp(): boolean {
    return this.#trouble === null && this.#consumer !== undefined && this.#consumer.isCaughtUp();
  }

  trouble(): MillraceError | null {
    return this.#trouble;
  }

  async #run(): Promise<void> {
    try {
      await this.#persist(async () => {
        this.#epoch = await nextEpoch(this.#options.log);
        await beginPartitions(this.#options.log, this.#options.topics);
      });
      await this.#recover();
      if (!this.#stopping.signal.aborted) await this.#read();
    } finally {
      this.#isEnded = true;
      this.#failFlushes(this.#trouble ?? new MillraceError('ERR_NOT_READY', 'the archive has stopped'));
    }
  }

  async #read(): Promise<void> {
    const { log, topics, config, nowMs } = this.#options;
    const bytesMax = config['chain.batchBytesMax'];
    const limit = { recordsMax: POLL_RECORDS_MAX, bytesMax, waitMsMax: POLL_WAIT_MS, isLent: true };
    for (const { topic, partition, archivedTo } of (await this.status()).topics) {
      this.#ranges.begin({ topic, partition, offset: archivedTo });
    }
    const consumer = await log.consume(ARCHIVE_GROUP, topics);
    this.#consumer = consumer;
    try {
      // Ends when stopped. What one poll adds to the open bytes is bounded by the poll.
      while (!this.#stopping.signal.aborted) {
        for (const record of await consumer.poll(limit)) this.#ranges.add(record, nowMs());
        await this.#cutDue();
        if (this.#waiters.length > 0) await this.#serveFlushes(consumer);
      }
    } finally {
      await consumer.close();
    }
  }

  async #cutDue(): Promise<void> {
    // Ends: each turn takes an open range away.
    for (
      let range = this.#ranges.takeDue(this.#options.nowMs());
      range !== undefined && !this.#stopping.signal.aborted;
      range = this.#ranges.takeDue(this.#options.nowMs())
    ) {
      await this.#write(await planCut(this.#context(), range));
    }
  }

  async #serveFlushes(consumer: Consumer): Promise<void> {
    const served = this.#waiters.filter(
      waiter => consumer.isCaughtUp() || this.#ranges.haveRead(waiter.ends),
    );
    if (served.length === 0) return;
    for (let range = this.#ranges.takeLargest(); range !== undefined; range = this.#ranges.takeLargest()) {
      await this.#write(await planCut(this.#context(), range));
      if (this.#stopping.signal.aborted) return;
    }
    if (consumer.isCaughtUp()) await this.#passQuarantined();
    this.#waiters = this.#waiters.filter(waiter => !served.includes(waiter));
    for (const waiter of served) waiter.resolve();
  }

  /** Moves the offsets past what can no longer be read and has nothing after it. */
  async #passQuarantined(): Promise<void> {
    const state = await this.#options.log.describe();
    const offsets = archiveStatus(state, this.#options.topics)
      .topics.filter(({ archivedTo, endOffset, ...place }) => {
        const range = { ...place, fromOffset: archivedTo, toOffset: endOffset };
        return archivedTo < endOffset && quarantinedIn(state.quarantined, range) === endOffset - archivedTo;
      })
      .map(({ topic, partition, endOffset }) => ({
        group: ARCHIVE_GROUP,
        topic,
        partition,
        offset: endOffset,
      }));
    if (offsets.length === 0) return;
    await this.#persist(() => this.#options.log.commit({ appends: [], offsets }));
    for (const place of offsets) this.#ranges.begin(place);
  }

  /** Finishes the ranges that were begun and not committed, in the order in which they were begun. */
  async #recover(): Promise<void> {
    const { log, environment } = this.#options;
    const archivedTo = new Map(archivedOffsets(await log.describe()));
    const topic = fullTopic(environment, 'archive.intents');
    const from = archivedTo.get(partitionKey(topic, 0)) ?? 0;
    for (const { offset, value } of await log.read(topic, 0, from, INTENTS_MAX)) {
      const intent = decodeIntent(value);
      const key = partitionKey(intent.topic, intent.partition);
      // A commit that was refused and came to lie in the log all the same was tried again: it is there twice.
      if ((archivedTo.get(key) ?? 0) >= intent.toOffset) continue;
      await this.#write(await this.#rebuild(intent, offset));
      if (this.#stopping.signal.aborted) return;
      archivedTo.set(key, intent.toOffset);
    }
  }

  async #rebuild(intent: Intent, offset: number): Promise<Cut> {
    const { topic, partition, fromOffset, toOffset } = intent;
    this.#options.logger.warn(
      { topic, partition, fromOffset, toOffset },
      'finishing a range that a crash cut off',
    );
    return rebuildCut(this.#context(), intent, offset);
  }

  async #write(cut: Cut): Promise<void> {
    await this.#persist(() => writeCut(this.#context(), cut));
    discardCut(cut);
  }

  /** Tries until it succeeds or the sink is stopped; flushes hear of each failure. */
  async #persist(call: () => Promise<unknown>): Promise<void> {
    await retryUnavailable(this.#options, this.#stopping.signal, async () => {
      try {
        await call();
        this.#trouble = null;
      } catch (error) {
        if (error instanceof MillraceError) this.#trouble = error;
        this.#failFlushes(error);
        throw error;
      }
    });
  }

  #failFlushes(error: unknown): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  #context(): CutContext {
    const { log, objects, index, environment, config, nowMs } = this.#options;
    const codec = config['archive.codec'] === 'gzip' ? 'gzip' : 'zstd';
    return { log, objects, index, environment, codec, epoch: this.#epoch, nowMs };
  }
}
