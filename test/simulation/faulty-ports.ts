import { MillraceError } from '../../src/core/errors.ts';
import type {
  ArchiveIndex,
  Cache,
  Consumer,
  Log,
  ObjectStore,
  StateStore,
  TableStore,
} from '../../src/core/ports.ts';
import type { Scheduler } from './scheduler.ts';

/** The ports that can be away for a while. What reads the log is apart: it fails seldom, and ends the process. */
export const PORTS = ['log', 'state', 'cache', 'objects', 'tables'] as const;

/** The name of a port. */
export type PortName = (typeof PORTS)[number] | 'reads';

const READ_SHARE = 0.06;

interface Call<T> {
  readonly port: PortName;
  readonly what: string;
  effect(): Promise<T>;
  /** True where the port may say no although it has done it: what calls it must be able to call again. */
  readonly mayFailDone: boolean;
  isIdle?(): boolean;
  /** True where what was asked for may still arrive after the one who asked has died. */
  readonly outlives?: boolean;
}

/**
 * Stands between the product and its stores: every call waits for a turn before it takes effect and again
 * before it is answered, so a kill can fall before, between and after; and it may fail at either place.
 */
export class FaultyPorts {
  readonly #scheduler: Scheduler;
  readonly #random: () => number;
  /** Chance that a call fails. */
  rate = 0;
  /** Ports that are away, with the step at which they come back. */
  readonly #away = new Map<PortName, number>();
  failures = 0;

  constructor(scheduler: Scheduler, random: () => number) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  /** Takes a port away for some steps. */
  takeAway(port: PortName, steps: number): void {
    this.#away.set(port, this.#scheduler.steps + steps);
  }

  /** Ends all faults. */
  heal(): void {
    this.rate = 0;
    this.#away.clear();
  }

  async call<T>(call: Call<T>): Promise<T> {
    const name = `${call.port}.${call.what}`;
    const zombie = call.outlives === true ? () => call.effect() : null;
    await this.#scheduler.turn(name, { zombie, ...(call.isIdle ? { isIdle: call.isIdle } : {}) });
    this.#failPerhaps(call.port, name);
    const result = await call.effect();
    await this.#scheduler.turn(`${name} answers`);
    if (call.mayFailDone) this.#failPerhaps(call.port, `${name}, done`);
    return result;
  }

  /** Adds the consumers that are opened to `opened`: whoever ends the process closes them. */
  log(inner: Log, opened: Set<Consumer>): Log {
    return {
      partitionCount: topic => inner.partitionCount(topic),
      // A refused commit keeps nothing: the contract of the port. That it may be kept and nobody told is a kill.
      commit: commit => this.#log('commit', () => inner.commit(commit)),
      consume: async (group, topics) => {
        const consumer = await this.#read('consume', () => inner.consume(group, topics));
        opened.add(consumer);
        return this.#consumer(consumer);
      },
      read: (...args) => this.#read('read', () => inner.read(...args)),
      describe: () => this.#read('describe', () => inner.describe()),
      close: async () => {},
    };
  }

  state(inner: StateStore): StateStore {
    return {
      seen: keys =>
        this.call({ port: 'state', what: 'seen', effect: () => inner.seen(keys), mayFailDone: true }),
      mark: (...args) =>
        this.call({ port: 'state', what: 'mark', effect: () => inner.mark(...args), mayFailDone: false }),
      // It may write a snapshot, on the machine's own clock. It has no way to fail but for a bug.
      committed: async position => {
        await this.#scheduler.turn('state.committed');
        await this.#scheduler.track(inner.committed(position));
        await this.#scheduler.turn('state.committed answers');
      },
      close: () => this.#scheduler.track(inner.close()),
    };
  }

  cache(inner: Pick<Cache, 'get'>): Pick<Cache, 'get'> {
    return {
      get: keys =>
        this.call({ port: 'cache', what: 'get', effect: () => inner.get(keys), mayFailDone: true }),
    };
  }

  objects(inner: ObjectStore): ObjectStore {
    const port = 'objects';
    return {
      create: (name, bytes) =>
        this.call({
          port,
          what: 'create',
          effect: () => inner.create(name, bytes),
          mayFailDone: true,
          outlives: true,
        }),
      read: name => this.call({ port, what: 'read', effect: () => inner.read(name), mayFailDone: true }),
      list: prefix => this.#list(inner, prefix),
    };
  }

  tables(inner: TableStore & ArchiveIndex): TableStore & ArchiveIndex {
    const call = <T>(what: string, effect: () => Promise<T>) =>
      this.call({ port: 'tables', what, effect, mayFailDone: true });
    return {
      insert: rows => call('insert', () => inner.insert(rows)),
      expire: (...args) => call('expire', () => inner.expire(...args)),
      addEntries: entries => call('addEntries', () => inner.addEntries(entries)),
      findEntry: object => call('findEntry', () => inner.findEntry(object)),
    };
  }

  async *#list(inner: ObjectStore, prefix: string) {
    await this.call({ port: 'objects', what: 'list', effect: async () => {}, mayFailDone: true });
    yield* inner.list(prefix);
  }

  #log<T>(what: string, effect: () => Promise<T>): Promise<T> {
    return this.call({ port: 'log', what, effect, mayFailDone: false });
  }

  #read<T>(what: string, effect: () => Promise<T>): Promise<T> {
    return this.call({ port: 'reads', what, effect, mayFailDone: true });
  }

  #consumer(inner: Consumer): Consumer {
    return {
      poll: limit =>
        this.call({
          port: 'reads',
          what: 'poll',
          effect: () => inner.poll({ ...limit, waitMsMax: 0 }),
          mayFailDone: false,
          isIdle: () => inner.isCaughtUp(),
        }),
      isCaughtUp: () => inner.isCaughtUp(),
      close: () => inner.close(),
    };
  }

  #failPerhaps(port: PortName, name: string): void {
    const isAway = this.#scheduler.steps < (this.#away.get(port) ?? 0);
    if (!isAway && this.#random() >= (port === 'reads' ? this.rate * READ_SHARE : this.rate)) return;
    this.failures += 1;
    const full = port === 'objects' && this.#random() < 0.5;
    throw new MillraceError(full ? 'ERR_DISK_FULL' : 'ERR_STORE_UNAVAILABLE', `${name} fails by plan`);
  }
}
