import { MillraceError } from '../../../core/errors.ts';
import type { GroupOffset } from '../../../core/ports.ts';
import { fullTopic } from '../../../core/topics.ts';
import type { Logger } from '../../../observability/logger.ts';
import type { CounterFeed } from './counter-feed.ts';
import type { ProgressRow } from './counter-record.ts';
import type { KafkaAdmin } from './kafka-admin.ts';
import { consumerSettings, type KafkaConnection, SESSION_MS } from './kafka-settings.ts';
import type { LogSurvey, Survey } from './log-survey.ts';
import type { NativeClient, NativeConsumer } from './native-client.ts';
import { connectHandle, disconnectHandle } from './native-handles.ts';
import type { GroupPart } from './transactions.ts';

/** What the offsets of groups are set with. */
export interface GroupOffsetsOptions {
  readonly client: NativeClient;
  readonly connection: KafkaConnection;
  readonly environment: string;
  readonly admin: KafkaAdmin;
  readonly feed: CounterFeed;
  readonly survey: LogSurvey;
  readonly requestMsMax: number;
  readonly logger: Logger;
}

/** How long a group may take to be rid of its members: a killed one stays for its session. */
const EMPTY_MS_MAX = 2 * SESSION_MS;
const EMPTY_LOOK_MS = 200;

/**
 * Offsets of groups that have no member in this process: set from outside, as a layout change and the archive's
 * start do. The brokers take such offsets in a transaction from anybody, so it is shown first that the group has
 * no members, and the set begins a new epoch: what members wrote before counts no more.
 */
export class GroupOffsets {
  readonly #options: GroupOffsetsOptions;
  readonly #handles = new Map<string, Promise<NativeConsumer>>();
  readonly #epochs = new Map<string, number>();

  constructor(options: GroupOffsetsOptions) {
    this.#options = options;
  }

  /** The epoch in which members of the group write, as of its last {@link GroupOffsets.restore}. */
  epochOf(row: Omit<GroupOffset, 'offset'>): number {
    return this.#epochs.get(keyOf(row)) ?? 0;
  }

  /** The part of a transaction that sets offsets of a group without members; waits until it has none. */
  async setPart(group: string, offsets: readonly GroupOffset[]): Promise<GroupPart> {
    await this.#waitEmpty(group);
    await this.#options.feed.complete();
    const survey = await this.#options.survey.look();
    const rows = offsets.map((row): ProgressRow => {
      const epoch = (survey.sums.progressOf(row)?.epoch ?? 0) + 1;
      this.#epochs.set(keyOf(row), epoch);
      return [epoch, row.offset, this.#passedAt(survey, row)];
    });
    return { offsets, native: await this.#handle(group), member: null, rows: () => rows };
  }

  /**
   * Called before a member joins: learns the epochs, and commits again what the brokers have forgotten (they drop
   * the offsets of a group that was empty for a week), or everything would be read a second time.
   */
  async restore(
    group: string,
    topics: readonly string[],
    commit: (rows: readonly GroupOffset[]) => Promise<unknown>,
  ): Promise<void> {
    const { admin, feed, environment } = this.#options;
    await feed.complete();
    const known = [...feed.sums(null).progress].filter(
      row => row.group === group && topics.includes(row.topic),
    );
    for (const row of known) this.#epochs.set(keyOf(row), row.epoch);
    // Offsets of a group with members are never dropped.
    if ((await admin.memberCount(fullTopic(environment, group))) > 0) return;
    const committed = await admin.groupOffsets([fullTopic(environment, group)]);
    const forgotten = known.filter(
      row =>
        row.offset !== Number.MAX_SAFE_INTEGER &&
        !committed.some(({ topic, partition }) => topic === row.topic && partition === row.partition),
    );
    if (forgotten.length === 0) return;
    this.#options.logger.warn(
      { group, partitions: forgotten.length },
      'offsets that the brokers forgot, set again',
    );
    await commit(forgotten.map(({ topic, partition, offset }) => ({ group, topic, partition, offset })));
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) {
      const native = await handle.catch(() => null);
      if (native !== null) await disconnectHandle(native);
    }
  }

  async #waitEmpty(group: string): Promise<void> {
    const { admin, environment } = this.#options;
    const deadlineMs = performance.now() + EMPTY_MS_MAX;
    // Ends at the deadline.
    while ((await admin.memberCount(fullTopic(environment, group))) > 0) {
      if (performance.now() > deadlineMs) {
        const why = `group ${group} has members elsewhere, so its offsets cannot be set`;
        throw new MillraceError('ERR_NOT_READY', why, { remedy: 'Stop the workers of the group first.' });
      }
      await new Promise(resolve => setTimeout(resolve, EMPTY_LOOK_MS));
    }
  }

  /**
   * Data records before an offset: known where another group stands there, at the end, and where no control
   * records lie before; else taken from the nearest group that stands before it, which leaves out the control
   * records in between.
   */
  #passedAt(survey: Survey, { topic, partition, offset }: GroupOffset): number {
    const ends = survey.ends.get(topic)?.find(row => row.partition === partition);
    // A broker that has just come back may name an end from before what it holds, and what the group had passed.
    if (ends !== undefined && offset >= ends.endOffset)
      return this.#options.survey.recordsOf(survey, topic, { ...ends, endOffset: offset });
    const before = [...survey.sums.progress].filter(
      row => row.topic === topic && row.partition === partition && row.offset <= offset,
    );
    const nearest = before.sort((a, b) => b.offset - a.offset)[0];
    return nearest === undefined ? offset : nearest.passed + (offset - nearest.offset);
  }

  /** A handle that knows the group and never joins it: the offsets it sends carry no member and no generation. */
  #handle(group: string): Promise<NativeConsumer> {
    let handle = this.#handles.get(group);
    if (handle === undefined) {
      handle = this.#connect(group);
      this.#handles.set(group, handle);
      handle.catch(() => this.#handles.delete(group));
    }
    return handle;
  }

  async #connect(group: string): Promise<NativeConsumer> {
    const { client, connection, environment } = this.#options;
    const native = new client.KafkaConsumer(consumerSettings(connection, fullTopic(environment, group)), {});
    await connectHandle(native, this.#options);
    return native;
  }
}

function keyOf({ group, topic, partition }: Omit<GroupOffset, 'offset'>): string {
  return `${group} ${topic}:${partition}`;
}
