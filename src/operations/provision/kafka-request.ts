import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';

/** What a broker says of its cluster. */
export interface ClusterAnswer {
  readonly clusterId: string;
  /** Ids of the brokers that it knows to be there, ascending. */
  readonly brokers: readonly number[];
}

const METADATA = 3;
/** The oldest version that Kafka 3.9 and 4.3 both answer; nothing in it is tagged or compact. */
const VERSION = 4;
const CLIENT = 'millrace';
const ANSWER_MS_MAX = 5_000;

/** Asks a broker on a loopback port for its cluster, through Kafka's own protocol. Throws while it cannot say. */
export async function askBroker(host: Host, port: number): Promise<ClusterAnswer> {
  const reply = await host.ask(port, metadataRequest(), {
    timeoutMs: ANSWER_MS_MAX,
    isWhole: bytes => bytes.length >= 4 && bytes.length >= 4 + Buffer.from(bytes).readInt32BE(),
  });
  try {
    return readMetadata(Buffer.from(reply));
  } catch (cause) {
    throw new MillraceError('ERR_NOT_READY', `port ${port} does not answer as Kafka does`, { cause });
  }
}

/** A request for the cluster and no topic: length, header (key, version, correlation, client), body. */
function metadataRequest(): Buffer {
  const header = Buffer.alloc(10);
  header.writeInt16BE(METADATA, 0);
  header.writeInt16BE(VERSION, 2);
  header.writeInt32BE(1, 4);
  header.writeInt16BE(CLIENT.length, 8);
  // An empty list of topics, and none are to be created.
  const body = Buffer.concat([header, Buffer.from(CLIENT), Buffer.alloc(5)]);
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** Reads what the protocol puts in this order; running past the end throws. */
function readMetadata(reply: Buffer): ClusterAnswer {
  // Length, correlation, throttle time.
  let at = 12;
  const advance = (count: number) => {
    at += count;
    return at - count;
  };
  const int32 = () => reply.readInt32BE(advance(4));
  const text = () => {
    const length = reply.readInt16BE(advance(2));
    const from = advance(Math.max(0, length));
    return reply.toString('utf8', from, at);
  };
  const count = int32();
  const brokers: number[] = [];
  for (let index = 0; index < count; index++) {
    brokers.push(int32());
    text();
    int32();
    text();
  }
  return { clusterId: text(), brokers: brokers.sort((left, right) => left - right) };
}
