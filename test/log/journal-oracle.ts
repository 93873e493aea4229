import assert from 'node:assert/strict';
import type { EmbeddedLog } from '../../src/adapters/log/embedded-log.ts';
import type { JournaledLog } from '../../src/adapters/log/log-contract.ts';
import type { LogState } from '../../src/core/ports.ts';
import { partitionOf, readAll, recordOf, TEST_TOPICS, textOf } from './open-log.ts';

/** One acknowledged commit: the texts that lie at which offsets, and where it ended. */
export interface Acknowledged {
  readonly topic: string;
  readonly partition: number;
  readonly baseOffset: number;
  readonly texts: readonly string[];
  readonly position: number;
}

/** Every partition of the test topics. */
export const PLACES = TEST_TOPICS.flatMap(({ topic, partitions }) =>
  Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
);

/** What a log has acknowledged, by place and offset, to hold against what it says after damage or a crash. */
export class JournalOracle {
  readonly acknowledged: Acknowledged[] = [];

  /** Commits texts to a place as one frame and keeps the answer. */
  async commit(log: JournaledLog, place: (typeof PLACES)[number], texts: readonly string[]): Promise<void> {
    const { baseOffsets, position } = await log.commit({
      appends: [{ ...place, records: texts.map(recordOf) }],
    });
    this.acknowledged.push({ ...place, baseOffset: baseOffsets[0]!, texts, position });
  }

  /** Offset to text of a place, of the commits that ended at or before an address. */
  expected(place: (typeof PLACES)[number], until = Number.POSITIVE_INFINITY): Map<number, string> {
    const texts = new Map<number, string>();
    for (const entry of this.acknowledged) {
      if (entry.topic !== place.topic || entry.partition !== place.partition || entry.position > until)
        continue;
      for (const [index, text] of entry.texts.entries()) texts.set(entry.baseOffset + index, text);
    }
    return texts;
  }

  /** The offset after the last acknowledged one. */
  nextOffset(place: (typeof PLACES)[number]): number {
    return Math.max(-1, ...this.expected(place).keys()) + 1;
  }
}

/** True where an offset is reported as lost. */
export function isQuarantined(state: LogState, place: (typeof PLACES)[number], offset: number): boolean {
  return state.quarantined.some(
    range =>
      range.topic === place.topic &&
      range.partition === place.partition &&
      range.fromOffset <= offset &&
      range.toOffset > offset,
  );
}

/**
 * Holds a damaged log against the oracle: nothing is read that was not written, what is not read is reported,
 * and new records get offsets that were never given out. Returns how many acknowledged records are lost.
 */
export async function checkDamaged(log: EmbeddedLog, oracle: JournalOracle): Promise<number> {
  let lost = 0;
  const read = new Map<string, Map<number, string>>();
  for (const place of PLACES) {
    const records = await readAll(log, place.topic, place.partition);
    read.set(
      `${place.topic}:${place.partition}`,
      new Map(records.map(record => [record.offset, textOf(record)])),
    );
  }
  const state = await log.describe();
  for (const place of PLACES) {
    const found = read.get(`${place.topic}:${place.partition}`)!;
    const expected = oracle.expected(place);
    for (const [offset, text] of found) assert.equal(text, expected.get(offset), 'nothing is invented');
    for (const offset of expected.keys()) {
      if (found.has(offset)) continue;
      lost += 1;
      assert.ok(
        isQuarantined(state, place, offset),
        `${place.topic}:${place.partition}:${offset} is reported`,
      );
    }
    const { endOffset } = partitionOf(state, place.topic, place.partition);
    assert.ok(endOffset >= oracle.nextOffset(place), 'no offset is given out twice');
    const { baseOffsets } = await log.commit({ appends: [{ ...place, records: [recordOf('new')] }] });
    assert.equal(baseOffsets[0], endOffset);
    assert.deepEqual((await log.read(place.topic, place.partition, endOffset, 9)).map(textOf), ['new']);
  }
  return lost;
}
