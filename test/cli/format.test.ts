import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatTable,
  formatTime,
  printable,
} from '../../src/cli/format.ts';
import { parseTime } from '../../src/cli/parse-time.ts';

describe('format', () => {
  it('separates thousands', () => {
    assert.deepEqual([0, 999, 1000, 1_234_567].map(formatCount), ['0', '999', '1,000', '1,234,567']);
  });

  it('shows the two largest units of a duration, the largest of a size', () => {
    assert.deepEqual([0, 999, 1000, 61_000, 3_600_000, 90_061_000].map(formatDuration), [
      '0ms',
      '999ms',
      '1s',
      '1m 1s',
      '1h 0m',
      '1d 1h',
    ]);
    assert.deepEqual([0, 1023, 1536, 5 * 1024 ** 3].map(formatBytes), [
      '0 B',
      '1023 B',
      '1.5 KiB',
      '5.0 GiB',
    ]);
  });

  it('aligns columns without blanks at line ends', () => {
    const text = formatTable(
      [{ title: 'NAME' }, { title: 'COUNT', align: 'right' }, { title: 'NOTE' }],
      [
        ['a', '1', ''],
        ['bcdef', '1,000', 'x'],
      ],
    );
    assert.equal(text, 'NAME   COUNT  NOTE\na          1\nbcdef  1,000  x\n');
    assert.equal(formatTable([{ title: 'A' }], [], 'Nothing.'), 'Nothing.\n');
  });

  it('never lets a stranger write control characters to the terminal (property)', () => {
    const nasty = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(nasty, text => {
        const shown = formatTable([{ title: 'A' }], [[text]]);
        assert.doesNotMatch(shown.replaceAll('\n', ''), /\p{Cc}/u);
        assert.equal(shown.split('\n').length, 3);
      }),
    );
    assert.equal(printable('\u001b[2J'), '\\u001b[2J');
  });
});

describe('parseTime', () => {
  it('takes epoch milliseconds and ISO 8601, without offset as UTC', () => {
    const noonMs = Date.UTC(2024, 4, 1, 12);
    for (const text of [
      String(noonMs),
      '2024-05-01T12:00',
      '2024-05-01T12:00:00Z',
      '2024-05-01T14:00:00.000+02:00',
    ]) {
      assert.equal(parseTime(text), noonMs, text);
    }
    assert.equal(parseTime('2024-05-01'), Date.UTC(2024, 4, 1));
    assert.equal(formatTime(noonMs), '2024-05-01T12:00:00.000Z');
  });

  it('takes nothing else', () => {
    for (const text of [
      '',
      'now',
      '2024-13-01',
      '2024-05-01 12:00',
      '05/01/2024',
      '-1',
      '2024-05-01T25:00',
    ]) {
      assert.equal(parseTime(text), undefined, text);
    }
  });
});
