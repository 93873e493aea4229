import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';

/** Who runs: everything awaited on its behalf, at any depth, is its doing. */
export interface Actor {
  readonly name: string;
  /** Dies with its process; false for what lives outside it. */
  readonly isMortal: boolean;
  /**
   * True where it computes outside the event loop's micro tasks (compression): while it waits for no turn it
   * is at work, and nobody else may move or the order would depend on the machine.
   */
  readonly isComputing: boolean;
}

/** A place where somebody waits to go on. */
interface Turn {
  readonly actor: Actor;
  readonly what: string;
  /** True where going on now would find nothing to do. */
  isIdle(): boolean;
  /** What may still happen though the one who asked for it is dead. */
  readonly zombie: (() => Promise<unknown>) | null;
  go(): void;
}

const WAKE_IDLE = 0.03;
const COMPUTE_MS_MAX = 30_000;
const WORLD: Actor = { name: 'world', isMortal: false, isComputing: false };

/**
 * A cooperative scheduler: whoever touches the world waits for a turn, and the seeded generator says whose is
 * next. Between two turns everything runs that can, so a run is a function of its seed.
 */
export class Scheduler {
  readonly #random: () => number;
  readonly #context = new AsyncLocalStorage<Actor>();
  readonly #computing = new Set<Actor>();
  #turns: Turn[] = [];
  #tracked: Promise<unknown> = Promise.resolve();
  /** Whose turns are held back: slow answers, a stalled thread. */
  #stalled: { readonly name: string; untilStep: number } | null = null;
  steps = 0;
  isAdverse = true;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Runs as an actor; one that computes must be busy from now on until the call settles. */
  run<T>(actor: Actor, call: () => Promise<T>): Promise<T> {
    if (actor.isComputing) this.#computing.add(actor);
    const result = this.#context.run(actor, call);
    const end = () => this.#computing.delete(actor);
    result.then(end, end);
    return result;
  }

  /** Waits for a turn. Never settles where the actor is dropped before. */
  turn(what: string, options: Partial<Pick<Turn, 'isIdle' | 'zombie'>> = {}): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const actor = this.#context.getStore() ?? WORLD;
    const { isIdle = () => false, zombie = null } = options;
    this.#turns.push({ actor, what, isIdle, zombie, go: resolve });
    return promise;
  }

  /** Holds the next step back until work on the machine's own clock (files) is done. */
  track<T>(work: Promise<T>): Promise<T> {
    this.#tracked = Promise.allSettled([this.#tracked, work]);
    return work;
  }

  /** Drops everything mortal that waits. What was on its way to a store may arrive there later, or never. */
  dropMortals(): void {
    const dropped = this.#turns.filter(({ actor }) => actor.isMortal);
    this.#turns = this.#turns.filter(({ actor }) => !actor.isMortal);
    for (const actor of [...this.#computing]) if (actor.isMortal) this.#computing.delete(actor);
    for (const { what, zombie } of dropped) {
      if (zombie === null || this.#random() < 0.5) continue;
      const go = () => void this.track(zombie());
      this.#turns.push({ actor: WORLD, what: `${what}, late`, isIdle: () => false, zombie: null, go });
    }
  }

  /** Lets one go on, and waits until everybody waits for a turn again. False where nobody waits. */
  async step(): Promise<boolean> {
    await this.#settle();
    const next = this.#choose();
    if (next === undefined) return false;
    this.#turns.splice(this.#turns.indexOf(next), 1);
    this.steps += 1;
    next.go();
    await this.#settle();
    return true;
  }

  /** Who waits, for what: for the report of a run that does not end. */
  waiting(): readonly string[] {
    return this.#turns.map(({ actor, what }) => `${actor.name}: ${what}`);
  }

  #choose(): Turn | undefined {
    this.#stall();
    const name = this.#stalled?.name;
    const free = this.#turns.filter(({ actor, what }) => actor.name !== name && what !== name);
    const pool = free.length > 0 ? free : this.#turns;
    const busy = pool.filter(turn => !turn.isIdle());
    const from = busy.length > 0 && this.#random() >= WAKE_IDLE ? busy : pool;
    return from[Math.floor(this.#random() * from.length)];
  }

  #stall(): void {
    if (this.#stalled !== null && (this.steps >= this.#stalled.untilStep || !this.isAdverse))
      this.#stalled = null;
    if (this.#stalled !== null || !this.isAdverse || this.#random() >= 0.01) return;
    const victim = this.#turns[Math.floor(this.#random() * this.#turns.length)];
    if (victim === undefined) return;
    const name = this.#random() < 0.5 ? victim.what : victim.actor.name;
    this.#stalled = { name, untilStep: this.steps + Math.floor(this.#random() * 300) };
  }

  async #settle(): Promise<void> {
    const deadlineMs = performance.now() + COMPUTE_MS_MAX;
    do {
      await setImmediate();
      await this.#tracked;
      if (performance.now() > deadlineMs) throw new Error(`an actor computes without end: ${this.waiting()}`);
    } while (this.#isComputing());
  }

  #isComputing(): boolean {
    return [...this.#computing].some(actor => !this.#turns.some(turn => turn.actor === actor));
  }
}
