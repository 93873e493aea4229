import type { QuarantinedRange } from '../../core/ports.ts';
import type { Section } from './frame.ts';
import { isMissing } from './journal-files.ts';
import { heldOf, type SegmentSummary } from './log-index.ts';
import { SegmentWindow } from './segment-window.ts';

/**
 * Reads a whole segment and names every offset that its summary promises and that cannot be read: frames
 * whose header is unreadable, sections whose CRC is wrong, and what a file that is too short lacks.
 */
export async function surveySegment(
  path: string,
  summary: SegmentSummary,
): Promise<readonly QuarantinedRange[]> {
  const end = summary.end;
  const promised = Array.from(summary.held, ([topic, ranges]) =>
    ranges.map(range => ({ topic, partition: range.partition, first: range.first, next: range.next })),
  ).flat();
  const lost: QuarantinedRange[] = [];
  const seen = new Map<string, number>();
  for await (const { section, intact } of sectionsOf(path, summary.base, end)) {
    const { topic, partition, baseOffset, count } = section;
    const key = `${topic}:${partition}`;
    const expected = seen.get(key) ?? heldOf(summary, topic, partition)?.first ?? baseOffset;
    if (baseOffset > expected) lost.push({ topic, partition, fromOffset: expected, toOffset: baseOffset });
    const toOffset = baseOffset + count;
    if (!intact) lost.push({ topic, partition, fromOffset: baseOffset, toOffset });
    seen.set(key, toOffset);
  }
  for (const { topic, partition, first, next } of promised) {
    const fromOffset = seen.get(`${topic}:${partition}`) ?? first;
    if (fromOffset < next) lost.push({ topic, partition, fromOffset, toOffset: next });
  }
  return lost;
}

/** True where the bytes of a section, of the frame at `address`, are what its CRC says. */
export async function isIntact(window: SegmentWindow, address: number, section: Section): Promise<boolean> {
  return (await window.checksum(address + section.start, section.bytes)) === section.crc;
}

async function* sectionsOf(path: string, base: number, end: number) {
  let window: SegmentWindow;
  try {
    window = await SegmentWindow.open(path, base);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  try {
    const limit = Math.min(end, await window.end());
    for (let address = base; address < limit; ) {
      const step = await window.step(address, limit);
      if (step.kind === 'end') break;
      if (step.kind === 'gap') {
        address = step.to;
        continue;
      }
      for (const section of step.header.sections) {
        yield { section, intact: await isIntact(window, address, section) };
      }
      address += step.header.frameBytes;
    }
  } finally {
    await window.close();
  }
}
