import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type {
  ExecOptions,
  ExecResult,
  FileRights,
  FileState,
  Host,
  HostFacts,
  LockWait,
  ProcessSpec,
  ProcessState,
} from '../../core/host.ts';

/** What a command of a memory host does; it may change the host. */
export type MemoryCommand = (argv: readonly string[], options: ExecOptions) => ExecResult;

interface Node {
  readonly content: Buffer | undefined;
  readonly rights: Required<FileRights>;
}

/** A host that exists in memory: files, commands that the test gives it, processes that do nothing. */
export class MemoryHost implements Host {
  readonly name = 'memory';
  readonly user: string;
  /** What may be run, by name; the test fills it. */
  readonly commands = new Map<string, MemoryCommand>();
  /** What answers on a port; a port that is here is taken. */
  readonly answers = new Map<number, (request: Buffer) => Buffer>();
  /** Every change that was made, in order: what a plan must not do. */
  readonly changes: string[] = [];
  readonly #nodes = new Map<string, Node>();
  readonly #processes = new Map<string, { spec: ProcessSpec; state: ProcessState; lines: string[] }>();
  /** What is locked, with the turns that others wait for. */
  readonly #locks = new Map<string, (() => void)[]>();
  #pids = 1000;

  constructor(user = 'operator') {
    this.user = user;
    this.#nodes.set('/', { content: undefined, rights: { mode: 0o755, owner: 'root' } });
  }

  async facts(): Promise<HostFacts> {
    return {
      name: this.name,
      platform: 'linux',
      arch: 'x64',
      cpuCount: 2,
      memoryBytes: 8e9,
      freeBytes: 1e11,
      user: this.user,
      isRoot: this.user === 'root',
      bootId: 'memory',
    };
  }

  async exec(argv: readonly string[], options: ExecOptions): Promise<ExecResult> {
    const [name = ''] = argv;
    const command = this.commands.get(posix.basename(name));
    if (command === undefined) {
      throw new MillraceError('ERR_TOOL_MISSING', `${name} is not there`, { remedy: `Install ${name}.` });
    }
    const result = command(argv, options);
    for (const line of result.stdout.split('\n').filter(Boolean)) options.onLine?.(line);
    return result;
  }

  async which(command: string): Promise<string | undefined> {
    return this.commands.has(command) ? `/usr/bin/${command}` : undefined;
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    return this.#nodes.get(path)?.content;
  }

  async put(path: string, content: string | Uint8Array, rights: FileRights): Promise<void> {
    if (this.#nodes.get(posix.dirname(path)) === undefined) {
      throw new MillraceError('ERR_HOST_COMMAND', `${path}: no such folder`);
    }
    this.changes.push(`put ${path}`);
    this.#nodes.set(path, { content: Buffer.from(content), rights: this.#whole(rights) });
  }

  async makeFolder(path: string, rights: FileRights): Promise<void> {
    this.changes.push(`folder ${path}`);
    for (let above = posix.dirname(path); !this.#nodes.has(above); above = posix.dirname(above)) {
      this.#nodes.set(above, { content: undefined, rights: this.#whole({ mode: 0o711 }) });
    }
    this.#nodes.set(path, { content: undefined, rights: this.#whole(rights) });
  }

  async remove(path: string): Promise<void> {
    this.changes.push(`remove ${path}`);
    for (const found of this.#below(path)) this.#nodes.delete(found);
    this.#nodes.delete(path);
  }

  async rename(from: string, to: string): Promise<void> {
    const moved = this.#nodes.get(from);
    if (moved === undefined || this.#below(to).length > 0) {
      throw new MillraceError('ERR_HOST_COMMAND', `${to}: cannot take the place of ${from}`);
    }
    this.changes.push(`rename ${from} ${to}`);
    for (const path of [from, ...this.#below(from)]) {
      const node = this.#nodes.get(path);
      this.#nodes.delete(path);
      if (node !== undefined) this.#nodes.set(to + path.slice(from.length), node);
    }
  }

  async stat(path: string): Promise<FileState | undefined> {
    const node = this.#nodes.get(path);
    if (node === undefined) return undefined;
    return {
      kind: node.content === undefined ? 'folder' : 'file',
      ...node.rights,
      sizeBytes: node.content?.length ?? 0,
      modifiedAtMs: 0,
    };
  }

  async list(path: string): Promise<readonly string[]> {
    const names = this.#below(path).map(found => found.slice(path === '/' ? 1 : path.length + 1));
    return names.filter(name => !name.includes('/')).sort();
  }

  async digest(path: string): Promise<string> {
    const content = this.#nodes.get(path)?.content;
    if (content === undefined) throw new MillraceError('ERR_HOST_COMMAND', `${path}: no such file`);
    return createHash('sha256').update(content).digest('hex');
  }

  async isPortFree(port: number): Promise<boolean> {
    return !this.answers.has(port);
  }

  async ask(port: number, request: Uint8Array): Promise<Uint8Array> {
    const answer = this.answers.get(port);
    if (answer === undefined) throw new MillraceError('ERR_HOST_COMMAND', `port ${port} does not answer`);
    return answer(Buffer.from(request));
  }

  async locked<T>(path: string, work: () => Promise<T>, { signal, onWait }: LockWait = {}): Promise<T> {
    const waiting = this.#locks.get(path);
    if (waiting === undefined) this.#locks.set(path, []);
    else {
      onWait?.();
      await untilTurn(waiting, path, signal);
    }
    try {
      return await work();
    } finally {
      const next = this.#locks.get(path)?.shift();
      if (next === undefined) this.#locks.delete(path);
      else next();
    }
  }

  async start(spec: ProcessSpec): Promise<ProcessState> {
    this.changes.push(`start ${spec.name}`);
    this.#pids += 1;
    const state: ProcessState = {
      name: spec.name,
      state: 'running',
      pid: this.#pids,
      startedAtMs: 0,
      digest: spec.digest,
      detail: '',
    };
    this.#processes.set(spec.name, { spec, state, lines: [`${spec.name} started`] });
    return state;
  }

  async stop(name: string): Promise<void> {
    if (this.#processes.delete(name)) this.changes.push(`stop ${name}`);
  }

  async process(name: string): Promise<ProcessState> {
    const found = this.#processes.get(name)?.state;
    return found ?? { name, state: 'stopped', pid: null, startedAtMs: null, digest: null, detail: '' };
  }

  async trimLogs(): Promise<void> {
    // Lines in memory are few.
  }

  async lastLines(name: string, linesMax: number): Promise<readonly string[]> {
    return this.#processes.get(name)?.lines.slice(-linesMax) ?? [];
  }

  /** Ends a process as a kill from outside would. */
  kill(name: string): void {
    const found = this.#processes.get(name);
    if (found === undefined) return;
    found.state = { ...found.state, state: 'failed', pid: null, detail: 'it was ended by SIGKILL' };
  }

  #below(path: string): readonly string[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    return [...this.#nodes.keys()].filter(found => found !== '/' && found.startsWith(prefix));
  }

  #whole({ mode, owner }: FileRights): Required<FileRights> {
    return { mode, owner: owner ?? this.user };
  }
}

async function untilTurn(
  waiting: (() => void)[],
  path: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const turn = Promise.withResolvers<void>();
  const cancel = () => {
    const index = waiting.indexOf(turn.resolve);
    if (index === -1) return;
    waiting.splice(index, 1);
    turn.reject(new MillraceError('ERR_RUN_CANCELLED', `it ended while another process held ${path}`));
  };
  waiting.push(turn.resolve);
  signal?.addEventListener('abort', cancel, { once: true });
  if (signal?.aborted === true) cancel();
  try {
    await turn.promise;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
