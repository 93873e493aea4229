import type { GroupProgress, LogState, PartitionState, TopicSpec } from '../../../core/ports.ts';
import type { Logger } from '../../../observability/logger.ts';
import type { CounterFeed } from './counter-feed.ts';
import type { CounterSums } from './counter-record.ts';
import type { KafkaAdmin, PartitionEnds } from './kafka-admin.ts';

/** A group that counts, with the full names of the topics it reads. */
export interface GroupRead {
  readonly group: string;
  readonly topics: readonly string[];
}

/** What the survey is made with. */
export interface LogSurveyOptions {
  readonly admin: KafkaAdmin;
  readonly feed: CounterFeed;
  readonly topics: readonly TopicSpec[];
  /** Topics written without transactions: their records are counted by offsets. */
  readonly plainTopics: readonly string[];
  readonly groups: readonly GroupRead[];
  readonly logger: Logger;
  /** This process's own sums as it last committed them. */
  own(): { readonly id: string; readonly bytes: Buffer } | null;
}

/** One look at the brokers. Sums were read before ends, so no group is ever ahead of an end. */
export interface Survey {
  readonly sums: CounterSums;
  readonly ends: ReadonlyMap<string, readonly PartitionEnds[]>;
  readonly offsets: readonly GroupProgress[];
  /** False where some process holds a transaction open, so that the sums are those from before it. */
  readonly isCurrent: boolean;
}

const CACHE_MS = 500;
const SIZES_CACHE_MS = 5_000;
const CATCH_UP_MS_MAX = 1_000;

/**
 * The state of the log as of one moment: counters, written records and groups' offsets come from one prefix of the
 * transactions, and the ends of topics are looked up after it. Looked at a moment old, so that polling is cheap.
 */
export class LogSurvey {
  readonly #options: LogSurveyOptions;
  readonly #plain: ReadonlySet<string>;
  #cached: { readonly state: Promise<LogState>; readonly atMs: number } | null = null;
  #sizes: { readonly bytes: Promise<ReadonlyMap<string, number>>; readonly atMs: number } | null = null;

  constructor(options: LogSurveyOptions) {
    this.#options = options;
    this.#plain = new Set(options.plainTopics);
  }

  /** The next answer must be of after this call. */
  forget(): void {
    this.#cached = null;
  }

  async describe(): Promise<LogState> {
    const nowMs = performance.now();
    if (this.#cached === null || nowMs - this.#cached.atMs > CACHE_MS) {
      const entry = { state: this.#describe(), atMs: nowMs };
      this.#cached = entry;
      entry.state.catch(() => {
        if (this.#cached === entry) this.#cached = null;
      });
    }
    return this.#cached.state;
  }

  /** Groups that have not committed everything that is there. */
  async waitingGroups(): Promise<readonly string[]> {
    const survey = await this.look();
    return this.#options.groups
      .filter(({ group, topics }) => topics.some(topic => this.#waits(survey, group, topic)))
      .map(({ group }) => group);
  }

  /**
   * Offsets are those beside the counters, not those that the brokers name for a group: each goes with its counters
   * in one transaction, but a later look at one of the two would see another moment.
   */
  async look(): Promise<Survey> {
    const { admin, feed, topics, own } = this.#options;
    const isCurrent = await feed.catchUp(CATCH_UP_MS_MAX);
    const sums = feed.sums(isCurrent ? null : own());
    const ends = await admin.ends(topics);
    const offsets = [...sums.progress].map(({ epoch: _, ...row }): GroupProgress => row);
    return { sums, ends, offsets, isCurrent };
  }

  /** Data records ever written to a partition. */
  recordsOf({ sums, offsets }: Survey, topic: string, { partition, endOffset }: PartitionEnds): number {
    if (!this.#plain.has(topic)) return sums.writtenTo(topic, partition);
    // Others may write an input in transactions of their own. What a reader met on its way counts the markers.
    const holes = offsets
      .filter(row => row.topic === topic && row.partition === partition && row.offset <= endOffset)
      .map(row => row.offset - (row.passed ?? row.offset));
    return endOffset - Math.max(0, ...holes);
  }

  #waits(survey: Survey, group: string, topic: string): boolean {
    return (survey.ends.get(topic) ?? []).some(ends => {
      const isIt = (row: GroupProgress) =>
        row.group === group && row.topic === topic && row.partition === ends.partition;
      const row = survey.offsets.find(isIt);
      if (row === undefined) return ends.endOffset > ends.startOffset;
      if (row.offset >= ends.endOffset) return false;
      const waiting = this.recordsOf(survey, topic, ends) - (row.passed ?? row.offset);
      return !survey.isCurrent || waiting > 0;
    });
  }

  async #describe(): Promise<LogState> {
    const survey = await this.look();
    const sizes = await this.#sizesNow();
    const topics = this.#options.topics.map(({ topic }) => ({
      topic,
      partitions: (survey.ends.get(topic) ?? []).map(
        (ends): PartitionState => ({
          ...ends,
          records: this.recordsOf(survey, topic, ends),
          isCounted: !this.#plain.has(topic),
          bytes: sizes.get(`${topic}:${ends.partition}`) ?? 0,
        }),
      ),
    }));
    return {
      topics,
      offsets: survey.offsets,
      counters: survey.sums.counters,
      quarantined: [],
      bytes: [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0),
    };
  }

  /** Sizes are for display, cost a request to every broker, and need a right of their own: without it they are 0. */
  #sizesNow(): Promise<ReadonlyMap<string, number>> {
    const { admin, topics, logger } = this.#options;
    const nowMs = performance.now();
    if (this.#sizes === null || nowMs - this.#sizes.atMs > SIZES_CACHE_MS) {
      const bytes = admin.sizes(topics).catch(error => {
        logger.debug({ why: String(error) }, 'sizes of topics are not known');
        return new Map<string, number>();
      });
      this.#sizes = { bytes, atMs: nowMs };
    }
    return this.#sizes.bytes;
  }
}
