import { assert } from '../core/errors.ts';
import type { Append, Commit, CommitDraft, CommitResult, Log, RecordWriter } from '../core/ports.ts';
import type { NewRecord, ValueText } from '../core/record.ts';

/** Begins a commit on any log: in the log's own form where it has one, else as lists of records. */
export function draftOn(log: Log): CommitDraft {
  return log.draft?.() ?? new ListDraft(log);
}

interface OpenAppend extends Append {
  readonly records: NewRecord[];
  readonly writer: RecordWriter;
}

class ListDraft implements CommitDraft {
  readonly #log: Log;
  readonly #appends = new Map<string, OpenAppend>();

  constructor(log: Log) {
    this.#log = log;
  }

  writer(topic: string, partition: number): RecordWriter {
    const place = `${topic}\n${partition}`;
    let append = this.#appends.get(place);
    if (append === undefined) {
      assert(partition < this.#log.partitionCount(topic), `${topic} has a partition ${partition}`);
      append = openAppend(topic, partition);
      this.#appends.set(place, append);
    }
    return append.writer;
  }

  commit(rest: Omit<Commit, 'appends'>): Promise<CommitResult> {
    const used = [...this.#appends.values()].filter(({ records }) => records.length > 0);
    const appends = used.map(({ topic, partition, records }) => ({ topic, partition, records }));
    return this.#log.commit({ appends, ...rest });
  }
}

function openAppend(topic: string, partition: number): OpenAppend {
  const records: NewRecord[] = [];
  const writer: RecordWriter = {
    add: (record, value) => records.push({ ...record, value: joined(value) }),
  };
  return { topic, partition, records, writer };
}

/** Memory of its own, whatever was lent. */
function joined({ head, from, to, tail }: ValueText): Uint8Array {
  const last = typeof tail === 'string' ? Buffer.from(tail, 'utf8') : tail;
  return Buffer.concat([head.subarray(from, to), last]);
}
