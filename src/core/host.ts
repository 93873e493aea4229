/** What a command answered; of longer output the last `outputBytesMax` of each stream. */
export interface ExecResult {
  /** 128 + the signal's number where a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface ExecOptions {
  /** Longest it may take; it is killed then and `exec` throws. */
  readonly timeoutMs: number;
  /** Standard input: the one way in for secrets, which never stand in arguments or variables. */
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  /** Added to the host's own variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** The OS user to run as; absent: the host's login. */
  readonly user?: string;
  /** Told of each line of output as it comes, for progress. */
  onLine?(line: string): void;
  /** Kept of each of standard output and error; absent: 1 MiB. */
  readonly outputBytesMax?: number;
  /** Kills the command where it is aborted; `exec` throws ERR_RUN_CANCELLED then. */
  readonly signal?: AbortSignal;
}

/** A file or folder as it is. */
export interface FileState {
  readonly kind: 'file' | 'folder' | 'other';
  /** Permission bits, such as 0o600. */
  readonly mode: number;
  readonly owner: string;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
}

/** Rights and owner of what is put on a host; owner absent: the host's login. */
export interface FileRights {
  readonly mode: number;
  readonly owner?: string;
}

/** How a turn is waited for. */
export interface LockWait {
  /** Ends the wait; work that has begun goes on. */
  readonly signal?: AbortSignal;
  /** Told once, where another process has its turn. */
  onWait?(): void;
}

/** A long-running process of ours on a host. */
export interface ProcessSpec {
  /** Unique among the environment's processes on the host: `kafka-1`. */
  readonly name: string;
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  /** Standard output and error go here; cut under a cap when it starts and by {@link Host.trimLogs}. */
  readonly logFile: string;
  /** What the server writes itself, and bounds itself: its last lines count as well. */
  readonly ownLogFile?: string;
  readonly stopSignal: 'SIGTERM' | 'SIGINT';
  /** Killed where it has not ended by then. */
  readonly stopMsMax: number;
  /** SHA-256, hex, of all that decides how it runs, made by the caller: command line, files it reads, versions. */
  readonly digest: string;
}

/** What became of a process. Found by pid, start time and boot id; never by name alone. */
export interface ProcessState {
  readonly name: string;
  /** `failed`: it ended by itself, `detail` says how. A zombie has ended. */
  readonly state: 'running' | 'stopped' | 'failed';
  readonly pid: number | null;
  readonly startedAtMs: number | null;
  /** The digest it was started with: another one means that a restart is due. */
  readonly digest: string | null;
  readonly detail: string;
}

/** What is known of a host without changing it. */
export interface HostFacts {
  readonly name: string;
  readonly platform: string;
  readonly arch: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly freeBytes: number;
  /** The login that commands run as. */
  readonly user: string;
  readonly isRoot: boolean;
  readonly bootId: string;
}

/**
 * A machine that operations act on. Arguments are arrays, never shell text. Everything here throws
 * `unavailable` errors where the host cannot do it, with what it said.
 */
export interface Host {
  readonly name: string;
  facts(): Promise<HostFacts>;
  /** Resolves whatever the exit code; throws where the command is not there, or ran past its time. */
  exec(argv: readonly string[], options: ExecOptions): Promise<ExecResult>;
  /** The path of a command, undefined where the host has none of that name. */
  which(command: string): Promise<string | undefined>;
  read(path: string): Promise<Uint8Array | undefined>;
  /** Replaces a file whole and durable, so that a reader never sees half of it; its folder must be there. */
  put(path: string, content: string | Uint8Array, rights: FileRights): Promise<void>;
  /** Creates a folder with those missing above it; rights are for the last one, also where it was there. */
  makeFolder(path: string, rights: FileRights): Promise<void>;
  /** Removes a file or a folder with all in it; nothing there is fine. */
  remove(path: string): Promise<void>;
  /**
   * Gives a file or folder another name at once, on one file system. Replaces a file or an empty folder; throws
   * where `to` is a folder that holds something.
   */
  rename(from: string, to: string): Promise<void>;
  stat(path: string): Promise<FileState | undefined>;
  /** Names in a folder, sorted; empty where it is not there. */
  list(path: string): Promise<readonly string[]>;
  /** SHA-256, hex, of a file. */
  digest(path: string): Promise<string>;
  /** True where nothing listens on the loopback port. */
  isPortFree(port: number): Promise<boolean>;
  /**
   * Sends bytes to a loopback port and resolves with what comes back until it closes or `isWhole` says so.
   * At most 1 MiB; throws where nothing listens, or time runs out.
   */
  ask(
    port: number,
    request: Uint8Array,
    options: { readonly timeoutMs: number; isWhole(reply: Uint8Array): boolean },
  ): Promise<Uint8Array>;
  /**
   * Runs work while no other process of the host does so under the same path, in a folder that is there. Waits
   * for its turn, for at most half an hour; the kernel lets go of it when the holder dies. Throws ERR_RUN_CANCELLED
   * where the wait is ended.
   */
  locked<T>(path: string, work: () => Promise<T>, wait?: LockWait): Promise<T>;
  /**
   * Starts a process and supervises it; resolves when it runs, not when it is ready. One of that name that runs
   * already is stopped first.
   */
  start(spec: ProcessSpec): Promise<ProcessState>;
  /**
   * Stops a process that {@link start} started, also by an earlier run; resolves when it has ended. It is killed
   * where it has not ended in time: `stopMsMax` of its spec, or less where `msMax` is.
   */
  stop(name: string, options?: { readonly msMax: number }): Promise<void>;
  process(name: string): Promise<ProcessState>;
  /** Cuts what processes wrote and has grown past its cap, also of those that an earlier run started. */
  trimLogs(): Promise<void>;
  /** The last lines a process wrote. */
  lastLines(name: string, linesMax: number): Promise<readonly string[]>;
}
