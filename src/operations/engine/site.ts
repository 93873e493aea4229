import type { JsonObject } from '../../core/event.ts';
import type { Host } from '../../core/host.ts';
import type { Release } from './release.ts';

/** Absolute paths of an environment and of what environments share. */
export interface SitePaths {
  readonly data: string;
  readonly root: string;
  readonly log: string;
  readonly state: string;
  readonly archive: string;
  readonly tablesFile: string;
  readonly cacheFile: string;
  readonly tokenFile: string;
  /** Releases of all environments, a folder each. */
  readonly releases: string;
  /** Downloads and builds, shared by all data directories. */
  readonly cache: string;
  /** What the engine and the operations remember. */
  readonly operations: string;
}

/**
 * What can be tried by itself. `database` is the file of the tables as it is; `tables` and `query` are the code that
 * works on such a file, tried on one of their own.
 */
export type Component =
  | 'ownership'
  | 'threads'
  | 'log'
  | 'state'
  | 'cache'
  | 'database'
  | 'tables'
  | 'query'
  | 'archive';

/** A topic as the environment must have it; full name. */
export interface WantedTopic {
  readonly topic: string;
  readonly partitions: number;
}

/** A server that others may run. */
export type ExternalServer = 'kafka' | 'redis' | 'postgres';

/** How a topic on the brokers differs from what the configuration wants; full name, texts as in a `Change`. */
export interface TopicChange {
  readonly kind: 'create' | 'partitions' | 'configs';
  readonly topic: string;
  readonly before: string | null;
  readonly after: string;
}

/** Numbered schema changes by file name, in order. */
export interface MigrationState {
  readonly applied: readonly string[];
  readonly known: readonly string[];
}

/** What a served environment says of itself. */
export interface ServedState {
  readonly url: string;
  readonly components: readonly { readonly name: string; readonly state: string; readonly detail: string }[];
  /** Digest of the schemas that each worker has loaded. */
  readonly workers: readonly { readonly role: string; readonly schemasDigest: string }[];
  /** Of the published event schemas, and of those that ship with its release. */
  readonly schemas: { readonly digest: string; readonly shippedDigest: string };
  /** Of the release that it runs; both are empty where it names none. */
  readonly releaseDigest: string;
  readonly releaseId: string;
}

/** An instance of the whole pipeline on data of its own, started for a trial. */
export interface Trial {
  readonly url: string;
  /** A request with the operator's token; resolves with status and parsed body whatever the status. */
  ask(
    path: string,
    init?: { readonly method?: 'POST'; readonly body?: string; readonly type?: string },
  ): Promise<{
    readonly status: number;
    readonly body: unknown;
  }>;
  /** Resolves when everything accepted so far is processed and every sink has it; throws at a deadline. */
  untilIdle(): Promise<JsonObject>;
  /** The one batch that is sent for all who look, sent twice; what became of it is for each to find. */
  sample(): Promise<{ readonly mids: readonly string[]; readonly badMid: string }>;
}

/** What operations observe and change through: the environment on this machine. */
export interface Site {
  readonly paths: SitePaths;
  /** This machine. */
  readonly host: Host;
  /** Topics as the configuration has them, in the order of the list. */
  topics(): readonly WantedTopic[];
  /**
   * Looks whether a server is reached, new enough, set up as it must be, and lets the pipeline's user do what it
   * does; resolves with what it is. Throws the error that names what is wrong, with its remedy.
   */
  check(server: ExternalServer): Promise<JsonObject>;
  /**
   * What the brokers lack of the wanted topics; `isNew`: asks none, and plans for brokers that hold nothing. Throws
   * ERR_REPLICAS_TOO_FEW, ERR_CONFIG_INVALID for fewer partitions than there are.
   */
  planTopics(isNew: boolean): Promise<readonly TopicChange[]>;
  /** Makes the changes of one kind that are still due, or that of one topic. */
  applyTopics(kind: TopicChange['kind'], topic?: string): Promise<void>;
  /** Names of all schema changes, in order. */
  knownMigrations(): readonly string[];
  /** Reads the ledger of migrations without changing or creating anything. */
  migrations(): Promise<MigrationState>;
  /** Creates the database of the tables, without any table. */
  createDatabase(): Promise<void>;
  /** Applies what the tables lack, up to this migration and it too; each whole or not at all. */
  applyMigrations(upTo: string): Promise<void>;
  /** Builds the console where it is not built from these sources. */
  buildConsole(): Promise<void>;
  isConsoleBuilt(): boolean;
  /** Whether the console can be built here at all. */
  canBuildConsole(): boolean;
  /** Hashes the files of the release anew. */
  rehash(): Promise<Release>;
  /** Text of the file that marks a data directory as ours, with the version of its layout. */
  readonly formatStamp: string;
  /** A new secret, URL-safe. */
  drawSecret(): string;
  /** Opens the log with these topics and closes it, so that it holds them; throws ERR_OWNED where it is served. */
  declareTopics(topics: readonly WantedTopic[]): Promise<void>;
  /**
   * Tries a component for real: opens it, writes, reads back, and leaves nothing behind. Where the environment is
   * served, asks the serving process instead. Throws ERR_VERIFY_FAILED.
   */
  probe(component: Component): Promise<JsonObject>;
  /** What of the operator's a component holds, as `3 records`; null where it holds nothing. */
  holds(component: 'log' | 'cache' | 'database' | 'archive'): Promise<string | null>;
  /** When the run of operations that goes on now began, epoch milliseconds; undefined where none does. */
  runningSinceMs(): number | undefined;
  /** Null where nothing serves the environment. */
  served(): Promise<ServedState | null>;
  /** Started at the first call, the same for all who ask, stopped at the end of the run. */
  trial(): Promise<Trial>;
  /** Fingerprint of the keys of some sections, or named in full: another one means that what uses them changed. */
  configDigestOf(sections: readonly string[]): string;
}
