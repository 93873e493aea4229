import { type Connection, createAPI, fetchV12, type Reader } from '@platformatic/kafka';
import type { AbortedTransaction } from './record-batch.ts';
import { keyOf, type Place } from './tenures.ts';

/** A partition that is asked for, from an offset on. */
export interface Wanted extends Place {
  readonly position: number;
}

/** What a broker answered for a partition, its batches not looked at. */
export interface Answer extends Place {
  readonly errorCode: number;
  /** Where open transactions begin, or the end. */
  readonly lastStableOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Batches up to there, those of aborted transactions among them; undefined where there are none. */
  readonly records: Buffer | undefined;
}

/** Bytes of an answer, and of one partition in it, packed; a batch comes whole, however large. */
const FETCH_BYTES_MAX = 4 * 1024 * 1024;
const PARTITION_BYTES_MAX = 1024 * 1024;
const READ_COMMITTED = 1;
const NO_SESSION = { id: 0, epoch: -1 };
// The protocol's numbers.
const FETCH_KEY = 1;
const FETCH_VERSION = 12;

/** Fetches what partitions have from their positions on, up to the last stable offset; by {@link keyOf}. */
export async function fetchFrom(
  connection: Connection,
  wanted: readonly Wanted[],
  waitMsMax: number,
): Promise<ReadonlyMap<string, Answer>> {
  const topics = [...Map.groupBy(wanted, ({ topic }) => topic)].map(([topicId, ofTopic]) => ({
    topicId,
    partitions: ofTopic.map(({ partition, position }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(position),
      lastFetchedEpoch: -1,
      partitionMaxBytes: PARTITION_BYTES_MAX,
    })),
  }));
  const answers = await fetchPacked.async(
    connection,
    waitMsMax,
    1,
    FETCH_BYTES_MAX,
    READ_COMMITTED,
    NO_SESSION.id,
    NO_SESSION.epoch,
    topics,
    [],
    '',
  );
  return new Map(answers.map(answer => [keyOf(answer), answer]));
}

/** A fetch as the client asks it, whose answer leaves the batches packed. */
const fetchPacked = createAPI<fetchV12.FetchRequest, readonly Answer[]>(
  FETCH_KEY,
  FETCH_VERSION,
  fetchV12.createRequest,
  (_correlationId, _apiKey, _apiVersion, reader) => readAnswers(reader),
);

/**
 * Fetch response 12: i32 throttle ms, i16 error, i32 session, then by topic its name and by partition i32 partition,
 * i16 error, i64 high watermark, i64 last stable offset, i64 log start, aborted transactions, i32 preferred replica,
 * batches.
 */
function readAnswers(reader: Reader): readonly Answer[] {
  reader.skip(4);
  const errorCode = reader.readInt16();
  if (errorCode !== 0) throw new Error(`the broker answers ${errorCode}`);
  reader.skip(4);
  const answers = reader.readArray(topicReader => {
    const topic = topicReader.readString();
    return topicReader.readArray(partitionReader => readAnswer(topic, partitionReader));
  });
  reader.readTaggedFields();
  return answers.flat();
}

function readAnswer(topic: string, reader: Reader): Answer {
  const partition = reader.readInt32();
  const errorCode = reader.readInt16();
  reader.skip(8);
  const lastStableOffset = Number(reader.readInt64());
  reader.skip(8);
  const aborted =
    reader.readNullableArray(r => ({ producerId: r.readInt64(), firstOffset: Number(r.readInt64()) })) ?? [];
  reader.skip(4);
  // One more than the length; 0 and 1 are none.
  const bytes = Math.max(0, reader.readUnsignedVarInt() - 1);
  const records = bytes === 0 ? undefined : reader.buffer.slice(reader.position, reader.position + bytes);
  reader.skip(bytes);
  return { topic, partition, errorCode, lastStableOffset, aborted, records };
}
