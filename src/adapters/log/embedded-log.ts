import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { MillraceError } from '../../core/errors.ts';
import type { Commit, CommitDraft, CommitResult, Consumer, LogState, TopicSpec } from '../../core/ports.ts';
import type { LogRecord, Position } from '../../core/record.ts';
import type { Logger } from '../../observability/logger.ts';
import { Admission } from './admission.ts';
import { Checkpointer } from './checkpointer.ts';
import { PackedDraft } from './commit-draft.ts';
import { ConsumerGroups } from './consumer-groups.ts';
import { DraftMemory } from './draft-memory.ts';
import type { ConsumerStart } from './journal-consumer.ts';
import { segmentPath } from './journal-files.ts';
import { JournalView, type Span } from './journal-view.ts';
import { type EncodedCommit, JournalWriter } from './journal-writer.ts';
import type { CommittedMarks, OwnedLog, SharedLog } from './log-contract.ts';
import type { LogIndex, SegmentSummary } from './log-index.ts';
import { type LogReply, type LogRequest, packError } from './log-messages.ts';
import { type LogPaths, preparePaths, recoverLog } from './recovery.ts';
import { encodeCommit } from './remote-log.ts';
import { Retention } from './retention.ts';
import { SharedPositions } from './shared-positions.ts';
import { surveySegment } from './survey.ts';
import { TopicTable } from './topic-table.ts';

export type { SharedLog } from './log-contract.ts';

/** How often retention and the checkpoint's age are looked at, ms. */
const HOUSEKEEPING_MS = 10_000;

/** A segment is surveyed again only after this long, ms. */
const SURVEY_AGAIN_MS = 60_000;

/** What a log is opened with. */
export interface EmbeddedLogOptions {
  /** Its own directory, created where it is missing. Nobody else may write there: see `takeOwnership`. */
  readonly directory: string;
  /** Every topic that may be written or read, by full name. */
  readonly topics: readonly TopicSpec[];
  /** The `log.*` options of these names. */
  readonly segmentBytes: number;
  readonly retentionMs: number;
  readonly retentionBytes: number;
  readonly behindBytesMax: number;
  readonly freeBytesMin: number;
  readonly queueBytesMax: number;
  readonly logger: Logger;
  /**
   * Consumer groups that read the log now. Those of earlier runs that are not named hold nothing back any more;
   * where this is absent, every group that ever read counts.
   */
  readonly groups?: readonly string[];
  /** Clock of frames and retention; the wall clock where absent. */
  readonly nowMs?: () => number;
}

/** The log of the thread that opened it. */
export interface EmbeddedLog extends OwnedLog {
  /** A way in for one other thread, which passes it to `connectLog`. */
  share(): SharedLog;
}

/**
 * Opens a log: recovers what the last process left, and from then on is its one writer. Throws
 * ERR_CONFIG_INVALID where a topic lost partitions, ERR_DATA_FORMAT where another version wrote the directory,
 * ERR_DISK_FULL where damaged bytes could not be set aside.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const paths = await preparePaths(options.directory);
  const topics = new TopicTable(options.topics);
  const recovered = await recoverLog(paths, topics, options.logger);
  const log = new FileLog(options, { paths, topics, index: recovered.index });
  await log.start(recovered.appendable);
  return log;
}

interface Parts {
  readonly paths: LogPaths;
  readonly topics: TopicTable;
  readonly index: LogIndex;
}

class FileLog implements EmbeddedLog {
  readonly #options: EmbeddedLogOptions;
  readonly #paths: LogPaths;
  readonly #topics: TopicTable;
  readonly #index: LogIndex;
  readonly #positions: SharedPositions;
  readonly #groups: ConsumerGroups;
  readonly #retention: Retention;
  readonly #admission: Admission;
  readonly #checkpointer: Checkpointer;
  readonly #view: JournalView;
  /** Drafts of this thread are batches as clients send them: the next one may be a thousandth of the last. */
  readonly #memory = new DraftMemory({ isEven: false });
  readonly #consumers = new Set<Consumer>();
  readonly #ports = new Set<MessagePort>();
  /** Surveys of segments in which a read met damage, by their base. */
  readonly #surveys = new Map<number, { readonly done: Promise<void>; readonly startedAtMs: number }>();
  #writer!: JournalWriter;
  #timer: NodeJS.Timeout | undefined;
  #housekeeping: Promise<void> | null = null;
  #isClosed = false;
  #closing: Promise<void> | null = null;

  constructor(options: EmbeddedLogOptions, { paths, topics, index }: Parts) {
    this.#options = options;
    this.#paths = paths;
    this.#topics = topics;
    this.#index = index;
    this.#positions = positionsOf(index, topics);
    const groups = new ConsumerGroups({ index, positions: this.#positions, topics, groups: options.groups });
    const retention = new Retention({
      journal: paths.journal,
      index,
      groups,
      retentionMs: options.retentionMs,
      retentionBytes: options.retentionBytes,
      nowMs: options.nowMs ?? Date.now,
    });
    this.#groups = groups;
    this.#retention = retention;
    this.#admission = new Admission({
      directory: paths.directory,
      groups,
      retention,
      behindBytesMax: options.behindBytesMax,
      freeBytesMin: options.freeBytesMin,
    });
    this.#checkpointer = new Checkpointer({ directory: paths.directory, index, logger: options.logger });
    this.#view = new JournalView({
      journal: paths.journal,
      positions: this.#positions,
      onDamage: address => this.#onDamage(address),
      locate: async place => this.#locate(place),
    });
  }

  async start(appendable: boolean): Promise<void> {
    const { segmentBytes, freeBytesMin, queueBytesMax, nowMs = Date.now } = this.#options;
    this.#writer = await JournalWriter.open({
      directory: this.#paths.directory,
      journal: this.#paths.journal,
      index: this.#index,
      positions: this.#positions,
      appendable,
      segmentBytes,
      freeBytesMin,
      queueBytesMax,
      nowMs,
      onFrame: (bytes, opensSegment) => {
        this.#checkpointer.onFrame(bytes, opensSegment);
        if (opensSegment) void this.#keepHouse();
      },
    });
    this.#timer = setInterval(() => void this.#keepHouse(), HOUSEKEEPING_MS).unref();
  }

  partitionCount(topic: string): number {
    return this.#topics.partitionCount(topic);
  }

  async commit(commit: Commit): Promise<CommitResult> {
    this.#topics.checkCommit(commit);
    return this.#writer.submit(encodeCommit(commit));
  }

  draft(): CommitDraft {
    this.#checkOpen();
    const submit = (encoded: EncodedCommit) => this.#writer.submit(encoded);
    return new PackedDraft({ memory: this.#memory, topics: this.#topics, submit });
  }

  async consume(group: string, topics: readonly string[]): Promise<Consumer> {
    const start = await this.#openConsumer(group, topics);
    const consumer = this.#view.openConsumer({
      topics,
      start,
      onClose: () => {
        this.#consumers.delete(consumer);
        this.#groups.close(start.slot);
      },
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  async read(
    topic: string,
    partition: number,
    fromOffset: number,
    recordsMax: number,
  ): Promise<readonly LogRecord[]> {
    this.#checkOpen();
    this.#topics.checkPartition(topic, partition);
    return this.#view.read({ topic, partition, offset: fromOffset }, recordsMax);
  }

  marksFrom(position: number): AsyncIterable<CommittedMarks> {
    return this.#view.marksFrom(position);
  }

  keepFrom(name: string, position: number): void {
    if (Number.isFinite(position)) this.#index.pins.set(name, position);
    else this.#index.pins.delete(name);
    this.#checkpointer.touch();
  }

  /** Waits for the damage that reads have met to be surveyed, so that it is in the answer. */
  async describe(): Promise<LogState> {
    await Promise.all(Array.from(this.#surveys.values(), survey => survey.done));
    const index = this.#index;
    return {
      topics: this.#topics.specs.map(({ topic, partitions }) => ({
        topic,
        partitions: index.partitionStates(topic, partitions),
      })),
      offsets: [...index.groupOffsets()],
      counters: Object.fromEntries(index.counters),
      quarantined: [...index.quarantined()],
      bytes: index.bytes(),
    };
  }

  admission(): MillraceError | null {
    if (this.#isClosed) return new MillraceError('ERR_LOG_CLOSED', 'the log is closed');
    return this.#admission.check();
  }

  isIdle(): boolean {
    return this.#groups.isIdle();
  }

  share(): SharedLog {
    this.#checkOpen();
    const { port1, port2 } = new MessageChannel();
    const slots = new Set<number>();
    port1.on('message', (request: LogRequest) => void this.#answer(port1, request, slots));
    port1.on('close', () => {
      this.#ports.delete(port1);
      for (const slot of slots) this.#groups.close(slot);
    });
    port1.unref();
    this.#ports.add(port1);
    return {
      port: port2,
      positions: this.#positions.shared,
      journal: this.#paths.journal,
      topics: this.#topics.specs,
      queueBytesMax: this.#options.queueBytesMax,
    };
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writer.close();
    for (const consumer of [...this.#consumers]) await consumer.close();
    await this.#housekeeping;
    await Promise.all(Array.from(this.#surveys.values(), survey => survey.done));
    await this.#checkpointer.close();
    for (const port of this.#ports) port.close();
  }

  async #openConsumer(group: string, topics: readonly string[]): Promise<ConsumerStart> {
    this.#checkOpen();
    const offsets = this.#groups.missingOffsets(group, topics);
    if (offsets.length > 0) await this.#writer.submit({ appends: [], offsets, marks: null, counters: {} });
    this.#checkOpen();
    return this.#groups.open(group, topics);
  }

  async #answer(port: MessagePort, request: LogRequest, slots: Set<number>): Promise<void> {
    if (request.id === undefined) {
      if (request.kind === 'damage') this.#onDamage(...request.args);
      else if (request.kind === 'keepFrom') this.keepFrom(...request.args);
      else this.#closeRemote(request.args[0], slots);
      return;
    }
    const { id } = request;
    let reply: LogReply;
    try {
      reply = { id, result: await this.#serve(request, slots) };
    } catch (error) {
      reply = { id, error: packError(error) };
    }
    port.postMessage(reply);
  }

  async #serve(request: LogRequest & { readonly id: number }, slots: Set<number>): Promise<unknown> {
    switch (request.kind) {
      case 'commit':
        // Those of jobs and sinks. Our own are batches as they come in, and who sends one waits for it.
        return this.#writer.submit(request.args[0], { mayCompress: true });
      case 'consume': {
        const start = await this.#openConsumer(...request.args);
        slots.add(start.slot);
        return start;
      }
      case 'locate':
        return this.#locate(request.args[0]);
      case 'describe':
        return this.describe();
    }
  }

  #closeRemote(slot: number, slots: Set<number>): void {
    if (slots.delete(slot)) this.#groups.close(slot);
  }

  #locate({ topic, partition, offset }: Position): Span | null {
    return this.#index.spanOf(topic, partition, offset);
  }

  /** Surveys the segment in which a read met damage; every reader meets it again, so not each time. */
  #onDamage(address: number): void {
    const summary = this.#index.segmentAt(address);
    if (summary === undefined || this.#isClosed) return;
    const startedAtMs = performance.now();
    const last = this.#surveys.get(summary.base);
    if (last !== undefined && startedAtMs - last.startedAtMs < SURVEY_AGAIN_MS) return;
    this.#surveys.set(summary.base, { done: this.#survey(summary), startedAtMs });
  }

  async #survey(summary: SegmentSummary): Promise<void> {
    const { logger } = this.#options;
    const segment = summary.base;
    try {
      const lost = await surveySegment(segmentPath(this.#paths.journal, segment), summary);
      if (!this.#index.segments.includes(summary)) return; // retention took it meanwhile
      logger.warn({ segment, lost }, 'log segment is damaged, offsets quarantined');
      for (const range of lost) this.#index.quarantine(range);
      this.#checkpointer.touch();
    } catch (error) {
      // Whoever met the damage goes on behind it, and the next one to meet it asks for a survey again.
      logger.error({ segment, error: String(error) }, 'log segment cannot be surveyed');
    }
  }

  /** Removes what retention lets go and renews the checkpoint; one run at a time. */
  #keepHouse(): Promise<void> {
    this.#housekeeping ??= (async () => {
      try {
        if ((await this.#retention.apply()) > 0) this.#checkpointer.touch();
      } catch (error) {
        this.#options.logger.warn({ error: String(error) }, 'log segment not removed, tried again later');
      }
      await this.#checkpointer.writeIfDue();
      this.#housekeeping = null;
    })();
    return this.#housekeeping;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new MillraceError('ERR_LOG_CLOSED', 'the log is closed');
  }
}

function positionsOf(index: LogIndex, topics: TopicTable): SharedPositions {
  const names = topics.specs.map(({ topic }) => topic);
  const positions = new SharedPositions(names);
  for (const segment of index.segments) {
    for (const [topic, ranges] of segment.held) {
      positions.setTopicEnd(topic, Math.max(...ranges.map(range => range.end)));
    }
  }
  positions.setEnd(index.address);
  return positions;
}
