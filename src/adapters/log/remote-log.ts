import type { MessagePort } from 'node:worker_threads';
import { MillraceError } from '../../core/errors.ts';
import type { Commit, CommitDraft, CommitResult, Consumer, LogState } from '../../core/ports.ts';
import type { LogRecord } from '../../core/record.ts';
import { PackedDraft } from './commit-draft.ts';
import { DraftMemory } from './draft-memory.ts';
import { JournalView } from './journal-view.ts';
import { commitBytes, type EncodedCommit } from './journal-writer.ts';
import type { CommittedMarks, JournaledLog, SharedLog } from './log-contract.ts';
import {
  type LogCalls,
  type LogNotices,
  type LogReply,
  type LogRequest,
  unpackError,
} from './log-messages.ts';
import { encodeRecords } from './record-codec.ts';
import { SharedPositions } from './shared-positions.ts';
import { TopicTable } from './topic-table.ts';

/**
 * The log of another thread. Commits are encoded here and their bytes are transferred, records are never
 * cloned; reads and consumers read the files themselves. Closing it closes its consumers, not the log.
 */
export function connectLog(shared: SharedLog): JournaledLog {
  return new RemoteLog(shared);
}

/** Encodes the records of a commit, in memory that may be transferred. */
export function encodeCommit(commit: Commit): EncodedCommit {
  return {
    appends: commit.appends.map(({ topic, partition, records }) => ({
      topic,
      partition,
      count: records.length,
      bytes: encodeRecords(records),
    })),
    offsets: commit.offsets ?? [],
    // Empty marks are none. The copy is ours to transfer.
    marks: commit.marks?.byteLength ? new Uint8Array(commit.marks) : null,
    counters: commit.counters ?? {},
  };
}

interface Awaited {
  resolve(result: never): void;
  reject(error: unknown): void;
}

class RemoteLog implements JournaledLog {
  readonly #port: MessagePort;
  readonly #topics: TopicTable;
  readonly #positions: SharedPositions;
  readonly #view: JournalView;
  readonly #queueBytesMax: number;
  readonly #memory = new DraftMemory({ isEven: true });
  readonly #awaited = new Map<number, Awaited>();
  readonly #consumers = new Set<Consumer>();
  #nextId = 1;
  #inFlightBytes = 0;
  #isClosed = false;

  constructor(shared: SharedLog) {
    this.#port = shared.port;
    this.#topics = new TopicTable(shared.topics);
    this.#queueBytesMax = shared.queueBytesMax;
    this.#positions = new SharedPositions(
      shared.topics.map(({ topic }) => topic),
      shared.positions,
    );
    this.#view = new JournalView({
      journal: shared.journal,
      positions: this.#positions,
      onDamage: address => this.#notify('damage', address),
      locate: place => this.#call('locate', [place]),
    });
    this.#port.on('message', (reply: LogReply) => this.#settle(reply));
    this.#port.on('close', () => this.#fail());
  }

  partitionCount(topic: string): number {
    return this.#topics.partitionCount(topic);
  }

  async commit(commit: Commit): Promise<CommitResult> {
    this.#topics.checkCommit(commit);
    return this.#submit(encodeCommit(commit));
  }

  draft(): CommitDraft {
    this.#checkOpen();
    return new PackedDraft({
      memory: this.#memory,
      topics: this.#topics,
      submit: encoded => this.#submit(encoded),
    });
  }

  /** Sends a commit to the owner: memory of its own is transferred, shared memory is read where it lies. */
  async #submit(encoded: EncodedCommit): Promise<CommitResult> {
    const bytes = commitBytes(encoded);
    if (this.#inFlightBytes > 0 && this.#inFlightBytes + bytes > this.#queueBytesMax) {
      const why = `${this.#inFlightBytes} bytes wait to be written, log.queueBytesMax is ${this.#queueBytesMax}`;
      throw new MillraceError('ERR_LOG_BEHIND', why);
    }
    const parts = [...encoded.appends.map(append => append.bytes), encoded.marks];
    const transfer = parts.flatMap(part => (part?.buffer instanceof ArrayBuffer ? part.buffer : []));
    this.#inFlightBytes += bytes;
    try {
      return await this.#call('commit', [encoded], transfer);
    } finally {
      this.#inFlightBytes -= bytes;
    }
  }

  async consume(group: string, topics: readonly string[]): Promise<Consumer> {
    const start = await this.#call('consume', [group, topics]);
    const consumer = this.#view.openConsumer({
      topics,
      start,
      onClose: () => {
        this.#consumers.delete(consumer);
        this.#notify('closeConsumer', start.slot);
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
    this.#notify('keepFrom', name, position);
  }

  describe(): Promise<LogState> {
    return this.#call('describe', []);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    for (const consumer of [...this.#consumers]) await consumer.close();
    this.#isClosed = true;
    this.#port.close();
  }

  #call<K extends keyof LogCalls>(
    kind: K,
    args: Parameters<LogCalls[K]>,
    transfer: readonly ArrayBuffer[] = [],
  ): ReturnType<LogCalls[K]> {
    const id = this.#nextId++;
    const answer = new Promise<never>((resolve, reject) => {
      this.#checkOpen();
      this.#awaited.set(id, { resolve, reject });
      this.#port.postMessage({ id, kind, args } as LogRequest, transfer);
    });
    return answer as ReturnType<LogCalls[K]>;
  }

  #notify<K extends keyof LogNotices>(kind: K, ...args: Parameters<LogNotices[K]>): void {
    if (!this.#isClosed) this.#port.postMessage({ kind, args } as LogRequest);
  }

  #settle(reply: LogReply): void {
    const awaited = this.#awaited.get(reply.id);
    this.#awaited.delete(reply.id);
    if ('error' in reply) awaited?.reject(unpackError(reply.error));
    else awaited?.resolve(reply.result as never);
  }

  /** The port is closed, by us or because the owner closed the log: nothing will be answered any more. */
  #fail(): void {
    this.#isClosed = true;
    const error = new MillraceError('ERR_LOG_CLOSED', 'the log is closed');
    for (const awaited of this.#awaited.values()) awaited.reject(error);
    this.#awaited.clear();
    for (const consumer of [...this.#consumers]) void consumer.close();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new MillraceError('ERR_LOG_CLOSED', 'the log is closed');
  }
}
