import type { QuarantinedRange } from '../../core/ports.ts';
import {
  decodeMeta,
  FIXED_BYTES,
  type FrameHeader,
  headerBytesOf,
  type Section,
  type Snapshot,
} from './frame.ts';
import type { SegmentFile } from './journal-files.ts';
import type { LogIndex } from './log-index.ts';
import { recordsMax } from './section-codec.ts';
import { SegmentWindow } from './segment-window.ts';
import { isIntact } from './survey.ts';

const ZEROS = Buffer.alloc(65_536);

/** How the journal ends. */
export interface Tail {
  /** The last segment; null where there is none that may be written to. */
  readonly file: SegmentFile | null;
  /** Address where the last whole frame of it ends. */
  readonly validEnd: number;
  /** Address where the file ends. */
  readonly fileEnd: number;
  /** Address where what was written to the file ends: behind it are the zeros that it was filled with beforehand. */
  readonly usedEnd: number;
  /** True where what lies between the frames' end and that may have been acknowledged once. */
  readonly isSuspect: boolean;
  readonly lost: readonly QuarantinedRange[];
}

/**
 * Takes every frame at or after the index's address into the index and says how the journal ends. Verifies
 * payloads. `fresh`: the index knows nothing, so the first frames say where offsets start.
 */
export async function scanTail(options: {
  readonly files: readonly SegmentFile[];
  readonly index: LogIndex;
  readonly fresh: boolean;
}): Promise<Tail> {
  const { files, index } = options;
  const scan = new TailScan(index, options.fresh && (files[0]?.base ?? 0) > 0);
  let tail = {
    file: null as SegmentFile | null,
    validEnd: index.address,
    fileEnd: index.address,
    usedEnd: index.address,
    isSuspect: false,
  };
  for (const [position, file] of files.entries()) {
    const limit = files[position + 1]?.base ?? Number.MAX_SAFE_INTEGER;
    if (limit <= index.address) continue;
    const isLast = position === files.length - 1;
    const window = await SegmentWindow.open(file.path, file.base);
    try {
      const fileEnd = Math.min(await window.end(), limit);
      // A file shorter than the index says was surveyed; writing goes on in a new one.
      if (fileEnd < index.address) continue;
      tail = { file, fileEnd, ...(await scan.segment({ window, fileEnd, isLast })) };
    } finally {
      await window.close();
    }
  }
  scan.close();
  return { ...tail, lost: scan.lost };
}

type SegmentEnd = Pick<Tail, 'validEnd' | 'usedEnd' | 'isSuspect'>;

class TailScan {
  readonly lost: QuarantinedRange[] = [];
  readonly #index: LogIndex;
  /** Unreadable bytes since a partition was last seen, by `topic\npartition`: any of them may have been its. */
  readonly #doubts = new Map<string, number>();
  #fresh: boolean;

  constructor(index: LogIndex, fresh: boolean) {
    this.#index = index;
    this.#fresh = fresh;
  }

  async segment(options: {
    readonly window: SegmentWindow;
    readonly fileEnd: number;
    readonly isLast: boolean;
  }): Promise<SegmentEnd> {
    const { window, fileEnd, isLast } = options;
    if (this.#index.segments.at(-1)?.base !== window.base) this.#index.addSegment(window.base);
    this.#index.address = Math.max(this.#index.address, window.base);
    let address = this.#index.address;
    while (address < fileEnd) {
      const step = await window.step(address, fileEnd);
      if (step.kind === 'end') break;
      if (step.kind === 'frame') {
        const torn = await tornSections(window, step.header);
        const end = address + step.header.frameBytes;
        // Only one write is on its way at a time: a torn frame with anything after it was durable once.
        if (torn !== null && isLast && (await usedEndOf(window, end, fileEnd)) === end) {
          return this.#cut(address, { header: step.header, usedEnd: end });
        }
        this.#take(step.header, torn ?? []);
        address = end;
      } else if (step.to < fileEnd || !isLast) {
        this.#doubt(step.to - step.from);
        address = step.to;
      } else {
        if (step.cut !== null) return this.#cut(address, { header: step.cut, usedEnd: fileEnd });
        const usedEnd = await usedEndOf(window, address, fileEnd);
        const isSuspect = !(await isUnacknowledged(window, address, usedEnd));
        if (isSuspect) this.#doubt(usedEnd - address);
        return { validEnd: address, usedEnd, isSuspect };
      }
    }
    return { validEnd: address, usedEnd: address, isSuspect: false };
  }

  /** Moves partitions that were not seen since unreadable bytes past every offset these can have held. */
  close(): void {
    for (const [key, bytes] of this.#doubts) {
      const [topic, partition] = placeOf(key);
      const { next } = this.#index.head(topic, partition);
      this.#skipTo({ topic, partition, baseOffset: next + Math.max(1, recordsMax(bytes)) });
    }
  }

  #take(header: FrameHeader, torn: readonly Section[]): void {
    const meta = decodeMeta(header);
    if (meta.snapshot !== null) this.#adopt(meta.snapshot);
    for (const section of header.sections) {
      const head = this.#index.head(section.topic, section.partition);
      // On a journal whose beginning retention took, the first offset seen is where the partition starts.
      if (this.#fresh && head.records === 0) head.next = section.baseOffset;
      head.records += Math.max(0, section.baseOffset - head.next);
      this.#skipTo(section);
      this.#doubts.delete(`${section.topic}\n${section.partition}`);
    }
    const { timeMs, sections } = header;
    this.#index.applyFrame({ end: header.address + header.frameBytes, timeMs, sections, meta });
    for (const { topic, partition, baseOffset, count } of torn) {
      this.#lose({ topic, partition, fromOffset: baseOffset, toOffset: baseOffset + count });
    }
  }

  #adopt(snapshot: Snapshot): void {
    for (const [topic, heads] of Object.entries(snapshot.topics)) {
      for (const [partition, [next]] of heads.entries()) {
        if (!this.#fresh) this.#skipTo({ topic, partition, baseOffset: next });
      }
    }
    this.#index.adopt(snapshot);
    this.#fresh = false;
    this.#doubts.clear();
  }

  /** A frame of which the last bytes are missing: its offsets are known and lost, nothing else of it counts. */
  #cut(
    address: number,
    { header, usedEnd }: { readonly header: FrameHeader; readonly usedEnd: number },
  ): SegmentEnd {
    for (const { topic, partition, baseOffset, count } of header.sections) {
      this.#skipTo({ topic, partition, baseOffset: baseOffset + count });
      this.#doubts.delete(`${topic}\n${partition}`);
    }
    return { validEnd: address, usedEnd, isSuspect: true };
  }

  #doubt(bytes: number): void {
    for (const [topic, heads] of this.#index.topics) {
      for (const partition of heads.keys()) {
        const key = `${topic}\n${partition}`;
        this.#doubts.set(key, (this.#doubts.get(key) ?? 0) + bytes);
      }
    }
  }

  #skipTo(place: Pick<Section, 'topic' | 'partition' | 'baseOffset'>): void {
    const { topic, partition, baseOffset: toOffset } = place;
    const head = this.#index.head(topic, partition);
    if (toOffset <= head.next) return;
    this.#lose({ topic, partition, fromOffset: head.next, toOffset });
    head.next = toOffset;
  }

  #lose(range: QuarantinedRange): void {
    this.lost.push(range);
    this.#index.quarantine(range);
  }
}

/** The sections of a frame whose bytes are damaged; null where the whole frame is as it was written. */
async function tornSections(window: SegmentWindow, header: FrameHeader): Promise<readonly Section[] | null> {
  const torn: Section[] = [];
  for (const section of header.sections) {
    if (!(await isIntact(window, header.address, section))) torn.push(section);
  }
  const marksCrc = await window.checksum(header.address + header.headerBytes, header.marksBytes);
  return torn.length === 0 && marksCrc === header.marksCrc ? null : torn;
}

/**
 * True where the bytes that were written last prove that their frame was never acknowledged, so that its offsets may be
 * given out again: too few for a frame's fixed part, a header that is cut off (its lengths are right, by their CRC), or
 * none but zeros, which a power cut leaves where the bytes had not arrived. The writer acknowledges only what it has
 * synced whole.
 */
async function isUnacknowledged(window: SegmentWindow, address: number, usedEnd: number): Promise<boolean> {
  if (usedEnd - address < FIXED_BYTES) return true;
  const headerBytes = headerBytesOf(await window.view(address, FIXED_BYTES, usedEnd), address);
  return headerBytes !== undefined && address + headerBytes > usedEnd;
}

/** The address behind the last byte in `[from, fileEnd)` that is not zero; `from` where all are. */
async function usedEndOf(window: SegmentWindow, from: number, fileEnd: number): Promise<number> {
  let usedEnd = from;
  for (let at = from; at < fileEnd; ) {
    const view = await window.view(at, ZEROS.length, fileEnd);
    if (view.length === 0) break;
    if (!view.equals(ZEROS.subarray(0, view.length)))
      usedEnd = at + view.findLastIndex(byte => byte !== 0) + 1;
    at += view.length;
  }
  return usedEnd;
}

function placeOf(key: string): readonly [string, number] {
  const [topic = '', partition] = key.split('\n');
  return [topic, Number(partition)];
}
