import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32c, createRecordsBatch } from '@platformatic/kafka';
import { committedOnly, readBatches, unpack } from '../../src/adapters/log/kafka/record-batch.ts';
import { createRandom } from '../e2e/load.ts';

const PLACE = { topic: 't', partition: 3 };
const [TRANSACTIONAL, CONTROL, APPEND_TIME] = [1 << 4, 1 << 5, 1 << 3];
const [ABORT, COMMIT] = [0, 1];

interface Sent {
  readonly key?: Buffer;
  readonly value: Buffer;
  readonly timestamp?: bigint;
  readonly headers?: Map<Buffer, Buffer>;
}

/** A batch as a broker hands it out: at an offset, with attributes beside those of its compression. */
function batchOf(
  baseOffset: number,
  records: readonly Sent[],
  { attributes = 0, producerId = -1n, compression = 'none' } = {},
): Buffer {
  const messages = records.map(record => ({ topic: 't', timestamp: 1_000n, ...record }));
  const bytes = Buffer.from(
    createRecordsBatch(messages, { compression: compression as 'none', producerId }).buffer,
  );
  bytes.writeBigInt64BE(BigInt(baseOffset), 0);
  bytes.writeInt16BE(bytes.readInt16BE(21) | attributes, 21);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}

/** A number of variable length: the sign last, seven bits a byte, the low ones first. */
function zigzag(number: number): Buffer {
  const bytes: number[] = [];
  for (let rest = number < 0 ? -2n * BigInt(number) - 1n : 2n * BigInt(number); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}

const textBatch = (offset: number, texts: readonly string[], options = {}) =>
  batchOf(
    offset,
    texts.map(text => ({ value: Buffer.from(text) })),
    options,
  );

/** The end of a transaction. */
function markerOf(offset: number, producerId: bigint, type: number): Buffer {
  const key = Buffer.from([0, 0, 0, type]);
  return batchOf(offset, [{ key, value: Buffer.alloc(6) }], {
    attributes: TRANSACTIONAL | CONTROL,
    producerId,
  });
}

const textsOf = (bytes: Buffer, aborted: Parameters<typeof committedOnly>[1] = [], from = 0) =>
  committedOnly(readBatches(bytes, PLACE), aborted)
    .flatMap(batch => unpack(batch, PLACE, from).records)
    .map(({ value }) => Buffer.from(value).toString());

describe('batches of records as the brokers keep them', () => {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    it(`are unpacked, compression ${compression}`, () => {
      const sent = Array.from({ length: 40 }, (_, i) => ({
        key: Buffer.from(`k${i}`),
        value: Buffer.from('é'.repeat(i)),
        timestamp: 1_700_000_000_000n + BigInt(i),
        headers: new Map([[Buffer.from('a'), Buffer.from(`${i}`)]]),
      }));
      const bytes = Buffer.concat([batchOf(7, sent, { compression }), batchOf(47, sent, { compression })]);
      const batches = readBatches(bytes, PLACE);
      assert.deepEqual(
        batches.map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset]),
        [
          [7, 47],
          [47, 87],
        ],
      );
      const records = batches.flatMap(batch => unpack(batch, PLACE, 0).records);
      assert.deepEqual(
        records.map(({ value, ...rest }) => ({ ...rest, value: value.toString() })),
        [7, 47].flatMap(base =>
          sent.map(({ value, timestamp }, i) => ({
            ...PLACE,
            offset: base + i,
            key: `k${i}`,
            timeMs: Number(timestamp),
            headers: { a: `${i}` },
            value: value.toString(),
          })),
        ),
      );
    });
  }

  it('may have been written months apart', () => {
    const sixtyDaysMs = 60 * 86_400_000;
    for (const delta of [sixtyDaysMs, -sixtyDaysMs, 2 ** 40, -(2 ** 31) - 1, 63, -64, 64, -65, 0]) {
      const body = Buffer.concat([
        Buffer.of(0),
        zigzag(delta),
        zigzag(0),
        zigzag(-1),
        zigzag(1),
        Buffer.from('a'),
        zigzag(0),
      ]);
      const head = batchOf(0, [{ value: Buffer.from('a') }]).subarray(0, 61);
      const bytes = Buffer.concat([head, zigzag(body.length), body]);
      bytes.writeInt32BE(bytes.length - 12, 8);
      bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
      const [record] = unpack(readBatches(bytes, PLACE)[0]!, PLACE, 0).records;
      assert.deepEqual([record!.timeMs, record!.value.toString()], [1_000 + delta, 'a']);
    }
  });

  it('begin within a batch where the offset does', () => {
    assert.deepEqual(textsOf(textBatch(5, ['a', 'b', 'c']), [], 6), ['b', 'c']);
  });

  it('carry no key and no header, a time of the broker, the time of a header and a name that objects have', () => {
    const headers = new Map([
      [Buffer.from('timeMs'), Buffer.from('12.5')],
      [Buffer.from('__proto__'), Buffer.from('x')],
    ]);
    const bytes = Buffer.concat([
      batchOf(
        0,
        [
          { value: Buffer.from('a'), timestamp: 5n },
          { value: Buffer.alloc(0), timestamp: 9n },
        ],
        {
          attributes: APPEND_TIME,
        },
      ),
      batchOf(2, [{ value: Buffer.from('b'), headers }]),
    ]);
    const records = readBatches(bytes, PLACE).flatMap(batch => unpack(batch, PLACE, 0).records);
    assert.deepEqual(
      records.map(({ key, timeMs }) => [key, timeMs]),
      [
        [null, 9],
        [null, 9],
        [null, 12.5],
      ],
    );
    assert.deepEqual(Object.entries(records[2]!.headers), [['__proto__', 'x']]);
    assert.equal(Object.getPrototypeOf(records[2]!.headers), Object.prototype);
  });

  it('are left out where the fetch cut them off, and refused where they are damaged', () => {
    const bytes = Buffer.concat([textBatch(0, ['a']), textBatch(1, ['b'])]);
    for (let cut = bytes.length / 2; cut < bytes.length; cut++) {
      assert.deepEqual(textsOf(bytes.subarray(0, cut)), ['a']);
    }
    for (let at = 16; at < bytes.length / 2; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1;
      assert.throws(() => textsOf(damaged), {
        code: 'ERR_STORE_UNAVAILABLE',
        why: /t:3: the batch at offset 0/,
      });
    }
    const laterDamaged = Buffer.from(bytes);
    laterDamaged[bytes.length - 1]! ^= 1;
    assert.deepEqual(textsOf(laterDamaged), ['a'], 'what comes before is handed out');
    const old = Buffer.from(bytes);
    old[16] = 1;
    assert.throws(() => readBatches(old, PLACE), { code: 'ERR_STORE_UNAVAILABLE' });
  });

  it('are refused where they are whole and do not unpack', () => {
    const bytes = batchOf(0, [{ value: Buffer.from('no lz4') }], { attributes: 3 });
    const [batch] = readBatches(bytes, PLACE);
    assert.throws(() => unpack(batch!, PLACE, 0), {
      code: 'ERR_STORE_UNAVAILABLE',
      why: /offset 0 cannot be read/,
    });
    const short = textBatch(0, ['a', 'b']);
    short.writeInt32BE(3, 57);
    short.writeUInt32BE(crc32c(short.subarray(21)), 17);
    assert.throws(() => unpack(readBatches(short, PLACE)[0]!, PLACE, 0), {
      code: 'ERR_STORE_UNAVAILABLE',
    });
  });
});

describe('committed records of a partition', () => {
  const inTransaction = (producerId: bigint) => ({ attributes: TRANSACTIONAL, producerId });

  it('are without those of aborted transactions and without the ends of any', () => {
    const log = Buffer.concat([
      textBatch(0, ['plain']),
      textBatch(1, ['aborted'], inTransaction(1n)),
      textBatch(2, ['kept'], inTransaction(2n)),
      markerOf(3, 1n, ABORT),
      textBatch(4, ['kept too'], inTransaction(1n)),
      markerOf(5, 1n, COMMIT),
      markerOf(6, 2n, COMMIT),
    ]);
    assert.deepEqual(textsOf(log, [{ producerId: 1n, firstOffset: 1 }]), ['plain', 'kept', 'kept too']);
  });

  it('are without an aborted transaction that began before the fetch, or whose end is not in it', () => {
    const begunBefore = Buffer.concat([
      textBatch(10, ['aborted'], inTransaction(1n)),
      markerOf(11, 1n, ABORT),
      textBatch(12, ['kept'], inTransaction(1n)),
    ]);
    assert.deepEqual(textsOf(begunBefore, [{ producerId: 1n, firstOffset: 2 }]), ['kept']);
    const endsLater = textBatch(10, ['aborted'], inTransaction(1n));
    assert.deepEqual(textsOf(endsLater, [{ producerId: 1n, firstOffset: 10 }]), []);
  });

  it('are those of a log of many producers, wherever a fetch begins and ends', () => {
    const seed = Number(process.env['MILLRACE_SEED'] ?? 7);
    const random = createRandom(seed);
    for (let run = 0; run < 50; run++) checkRandomLog(random, `seed ${seed}, run ${run}`);
  });

  /** A log of transactions that overlap, read by fetches of a few batches, each told what a broker tells of it. */
  function checkRandomLog(random: () => number, what: string): void {
    const batches: Buffer[] = [];
    const expected: string[] = [];
    const aborted: { producerId: bigint; firstOffset: number; lastOffset: number }[] = [];
    const open = new Map<bigint, { firstOffset: number; texts: { at: number; text: string }[] }>();
    const kept: { at: number; text: string }[] = [];
    for (let offset = 0; offset < 60; offset++) {
      const producerId = BigInt(Math.floor(random() * 4));
      const transaction = open.get(producerId);
      const isLast = offset >= 56 && transaction !== undefined;
      if (transaction !== undefined && (isLast || random() < 0.4)) {
        const isAborted = random() < 0.5;
        batches.push(markerOf(offset, producerId, isAborted ? ABORT : COMMIT));
        if (isAborted) aborted.push({ producerId, firstOffset: transaction.firstOffset, lastOffset: offset });
        else kept.push(...transaction.texts);
        open.delete(producerId);
      } else if (random() < 0.2) {
        batches.push(textBatch(offset, [`plain ${offset}`]));
        kept.push({ at: offset, text: `plain ${offset}` });
      } else {
        const text = `${producerId} at ${offset}`;
        batches.push(textBatch(offset, [text], inTransaction(producerId)));
        const texts = [...(transaction?.texts ?? []), { at: offset, text }];
        open.set(producerId, { firstOffset: transaction?.firstOffset ?? offset, texts });
      }
    }
    // Readers of committed records get no further than the first transaction that is open.
    const stable = Math.min(60, ...[...open.values()].map(({ firstOffset }) => firstOffset));
    expected.push(...kept.sort((a, b) => a.at - b.at).flatMap(({ at, text }) => (at < stable ? text : [])));
    const read: string[] = [];
    for (let from = 0; from < stable; ) {
      const to = Math.min(stable, from + 1 + Math.floor(random() * 8));
      const told = aborted.filter(({ firstOffset, lastOffset }) => firstOffset < to && lastOffset >= from);
      read.push(...textsOf(Buffer.concat(batches.slice(from, to)), told, from));
      from = to;
    }
    assert.deepEqual(read, expected, what);
  }
});
