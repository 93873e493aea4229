import type { GroupOffset } from '../../../core/ports.ts';

/** A partition of a topic. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
}

/**
 * A time during which this process owns a partition without a break, and what it did in it. Work that was begun
 * in one tenure must never be committed in another: in between, somebody else may have done it.
 */
export class Tenure implements Place {
  readonly topic: string;
  readonly partition: number;
  /** False once the partition is given away: what is buffered of it is dropped. */
  isOpen = true;
  /** True while the group waits for the partition: nothing more of it is handed out. */
  isRevoking = false;
  /** Offset after the last record that was handed out; -1 before the first. */
  handedTo = -1;
  /** Offset up to which the group has committed in this tenure; -1 before the first commit. */
  committedTo = -1;
  /** Offset after the last record that was fetched; -1 before the first. */
  fetchedTo = -1;
  /** End of the partition as the consumer met it, control records passed; -1 while it has not. */
  endAt = -1;
  /** End that the consumer must meet before it is caught up. */
  knownEnd = 0;
  /** Transactions under way that name it. */
  pins = 0;
  /** Runs of consecutive offsets that were handed out and are not committed. */
  readonly #runs: { from: number; to: number }[] = [];

  constructor({ topic, partition }: Place) {
    this.topic = topic;
    this.partition = partition;
  }

  /** True while something that was handed out is not committed, or is being committed. */
  get hasWork(): boolean {
    return this.pins > 0 || this.handedTo > this.committedTo;
  }

  /** True when everything up to the known end was handed out. */
  get isCaughtUp(): boolean {
    return this.endAt >= this.knownEnd && this.endAt >= this.fetchedTo && this.handedTo >= this.fetchedTo;
  }

  /** Notes a fetched record; false where it is one that this tenure has had. */
  fetched(offset: number): boolean {
    if (offset < this.fetchedTo) return false;
    this.fetchedTo = offset + 1;
    return true;
  }

  /** Notes a record that `poll` hands out. */
  handed(offset: number): void {
    const last = this.#runs.at(-1);
    if (last !== undefined && last.to === offset) last.to = offset + 1;
    else this.#runs.push({ from: offset, to: offset + 1 });
    this.handedTo = offset + 1;
  }

  /** How many of the records that were handed out lie before an offset and are not committed. */
  countTo(offset: number): number {
    return this.#runs.reduce((sum, { from, to }) => sum + Math.max(0, Math.min(to, offset) - from), 0);
  }

  /** Notes a commit that is durable. */
  committed(offset: number): void {
    this.committedTo = Math.max(this.committedTo, offset);
    while (this.#runs.length > 0 && this.#runs[0]!.to <= offset) this.#runs.shift();
    const first = this.#runs[0];
    if (first !== undefined && first.from < offset) first.from = offset;
  }

  /** Says that the partition is about to grow beyond what is known of its end. */
  willGrow(): void {
    this.knownEnd = Math.max(this.knownEnd, this.endAt + 1, this.fetchedTo + 1);
  }

  /** True once a record or the end of the partition was met. */
  get isKnown(): boolean {
    return this.endAt >= 0 || this.fetchedTo >= 0;
  }

  /** Offset past the control records at the end, where everything is handed out and committed; else undefined. */
  get restTo(): number | undefined {
    if (!this.isOpen || this.isRevoking || this.hasWork || !this.isCaughtUp) return undefined;
    return this.endAt > Math.max(this.committedTo, 0) ? this.endAt : undefined;
  }
}

/** The tenures of one member of a group. */
export class Tenures {
  readonly #open = new Map<string, Tenure>();
  #last: Tenure | undefined;

  get all(): Iterable<Tenure> {
    return this.#open.values();
  }

  /** True where of each a record or its end was met. */
  get areKnown(): boolean {
    return [...this.#open.values()].every(({ isKnown }) => isKnown);
  }

  /** True when everything up to the known ends was handed out. */
  get areCaughtUp(): boolean {
    for (const tenure of this.#open.values()) if (!tenure.isCaughtUp) return false;
    return true;
  }

  /** True where one has work that is not committed. */
  get haveWork(): boolean {
    return [...this.#open.values()].some(({ hasWork }) => hasWork);
  }

  /** True while a transaction under way names one of them. */
  get isPinned(): boolean {
    return [...this.#open.values()].some(({ pins }) => pins > 0);
  }

  begin(place: Place): void {
    this.#open.set(keyOf(place), new Tenure(place));
    this.#last = undefined;
  }

  find(topic: string, partition: number): Tenure | undefined {
    // Records of one partition come in a row: most calls find what the one before found.
    const last = this.#last;
    if (last !== undefined && last.partition === partition && last.topic === topic) return last;
    this.#last = this.#open.get(keyOf({ topic, partition }));
    return this.#last;
  }

  /** Ends tenures; answers those that end with work that is not committed. */
  end(places: readonly Place[]): readonly Tenure[] {
    const ended = places.flatMap(place => this.#open.get(keyOf(place)) ?? []);
    for (const tenure of ended) {
      tenure.isOpen = false;
      this.#open.delete(keyOf(tenure));
    }
    this.#last = undefined;
    return ended.filter(tenure => tenure.hasWork);
  }

  /** True where an offset stands for work of the present tenure, and of nothing before or beyond it. */
  covers({ topic, partition, offset }: GroupOffset): boolean {
    const tenure = this.find(topic, partition);
    return tenure !== undefined && offset <= Math.max(tenure.handedTo, tenure.endAt);
  }
}

/** Names a partition in what is kept by partition. */
export function keyOf({ topic, partition }: Place): string {
  return `${topic}:${partition}`;
}
