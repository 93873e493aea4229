import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';

/** Pages of the write-ahead log that wait for the file, in bytes, after which they are taken there. */
const CHECKPOINT_BYTES = 32 * 1024 * 1024;
/** The log's file grows to this, and further only while a query that began before keeps it from beginning anew. */
const WAL_BYTES_MAX = 128 * 1024 * 1024;

/** What the thread answers to a request: null where the checkpoint is done as far as readers let it. */
export type CheckpointAnswer = { readonly message: string; readonly errcode?: number } | null;

/**
 * Takes the pages of a write-ahead log into the database's file by a thread of their own, beside transactions: writing
 * and syncing some thousand pages that lie apart takes half a second and more on a busy disk, and SQLite has the writer
 * do it within a commit. One at a time; the writer waits only where the log has reached its bound.
 * See docs/decisions/0019-checkpoints-beside.md.
 */
export class SqliteCheckpoints {
  readonly #file: string;
  readonly #look: StatementSync;
  readonly #pageBytes: number;
  #thread: Worker | undefined;
  #running: PromiseWithResolvers<void> | null = null;
  #failure: Error | null = null;

  /** Takes over the checkpoints of the connection that writes. */
  constructor(file: string, database: DatabaseSync) {
    database.exec('PRAGMA wal_autocheckpoint = 0');
    database.exec(`PRAGMA journal_size_limit = ${WAL_BYTES_MAX}`);
    this.#file = file;
    this.#pageBytes = Number(database.prepare('PRAGMA page_size').get()?.['page_size']);
    // Only looks, 2 us. A SQLite that is too old to know NOOP would run the checkpoint here, as it did before.
    this.#look = database.prepare('PRAGMA wal_checkpoint(NOOP)');
  }

  /** Resolves when another transaction may begin; rejects where the last checkpoint failed. */
  async room(): Promise<void> {
    if (this.#logBytes().all >= WAL_BYTES_MAX) {
      await this.#running?.promise;
      // Most of the log is in the file by now. While nobody writes this takes the rest there, so that the next
      // transaction begins the log anew. A long query may keep it from that: then the log grows.
      await this.#start();
    }
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /** Starts a checkpoint where one is due. Called after each transaction. */
  advance(): void {
    if (this.#logBytes().waiting >= CHECKPOINT_BYTES) void this.#start();
  }

  /** Waits for a checkpoint that runs, and ends the thread. The database is closed after this. */
  async close(): Promise<void> {
    await this.#running?.promise;
    const thread = this.#thread;
    if (thread === undefined) return;
    const ended = new Promise(resolve => thread.once('exit', resolve));
    thread.ref();
    thread.postMessage('close');
    await ended;
  }

  #logBytes(): { readonly all: number; readonly waiting: number } {
    const { log, checkpointed } = this.#look.get() as { readonly log: number; readonly checkpointed: number };
    return { all: log * this.#pageBytes, waiting: (log - checkpointed) * this.#pageBytes };
  }

  /** Resolves when it is done; whoever begins the next transaction hears of a failure. */
  #start(): Promise<void> {
    if (this.#running === null) {
      this.#running = Promise.withResolvers();
      this.#thread ??= this.#startThread();
      // It keeps the process alive only while it has something to do.
      this.#thread.ref();
      this.#thread.postMessage('checkpoint');
    }
    return this.#running.promise;
  }

  #startThread(): Worker {
    const thread = new Worker(new URL('./sqlite-checkpoint-thread.ts', import.meta.url), {
      workerData: this.#file,
      // It holds one statement: V8's own bounds are those of a program.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
    });
    thread.on('message', (answer: CheckpointAnswer) => {
      this.#end(answer === null ? null : Object.assign(new Error(answer.message), answer));
    });
    // Another one is started where it is needed.
    thread.on('error', error => this.#end(error));
    thread.on('exit', () => {
      this.#thread = undefined;
      this.#end(new Error('the thread of checkpoints has ended'));
    });
    return thread;
  }

  #end(failure: Error | null): void {
    if (this.#running === null) return;
    if (failure !== null) this.#failure = failure;
    this.#thread?.unref();
    this.#running.resolve();
    this.#running = null;
  }
}
