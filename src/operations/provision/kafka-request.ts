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
const METADATA_VERSION = 4;
const UNREGISTER_BROKER = 64;
const CLIENT = 'millrace';
const ANSWER_MS_MAX = 5_000;
/** Codes of the protocol. */
const NONE = 0;
const BROKER_ID_NOT_REGISTERED = 102;

/** Asks a broker on a loopback port for its cluster, through Kafka's own protocol. Throws while it cannot say. */
export async function askBroker(host: Host, port: number): Promise<ClusterAnswer> {
  // An empty list of topics, and none are to be created.
  const body = Buffer.alloc(5);
  return ask(host, port, { key: METADATA, version: METADATA_VERSION, body, read: readMetadata });
}

/**
 * Has the active controller, asked on a loopback port, forget a broker: its partitions have no leader from then on.
 * Resolves once that is durable, also where the broker is not registered. Throws ERR_NOT_READY while the node is not
 * the active controller.
 */
export async function unregisterBroker(host: Host, port: number, id: number): Promise<void> {
  // Version 0 ends its header and its body with a count of tagged fields: none.
  const body = Buffer.alloc(6);
  body.writeInt32BE(id, 1);
  // After length, correlation, tags and throttle time.
  const read = (reply: Buffer) => reply.readInt16BE(13);
  const code = await ask(host, port, { key: UNREGISTER_BROKER, version: 0, body, read });
  if (code === NONE || code === BROKER_ID_NOT_REGISTERED) return;
  throw new MillraceError('ERR_NOT_READY', `the controller on port ${port} answers with code ${code}`);
}

interface Request<T> {
  readonly key: number;
  readonly version: number;
  /** What follows the client's name: of a flexible version from the header's tags on. */
  readonly body: Buffer;
  /** Reads a whole reply, its length first; running past the end throws. */
  readonly read: (reply: Buffer) => T;
}

/** Sends a request: length, header (key, version, correlation, client), body. */
async function ask<T>(host: Host, port: number, { key, version, body, read }: Request<T>): Promise<T> {
  const header = Buffer.alloc(14);
  header.writeInt32BE(10 + CLIENT.length + body.length, 0);
  header.writeInt16BE(key, 4);
  header.writeInt16BE(version, 6);
  header.writeInt32BE(1, 8);
  header.writeInt16BE(CLIENT.length, 12);
  const reply = await host.ask(port, Buffer.concat([header, Buffer.from(CLIENT), body]), {
    timeoutMs: ANSWER_MS_MAX,
    isWhole: bytes => bytes.length >= 4 && bytes.length >= 4 + Buffer.from(bytes).readInt32BE(),
  });
  try {
    return read(Buffer.from(reply));
  } catch (cause) {
    throw new MillraceError('ERR_NOT_READY', `port ${port} does not answer as Kafka does`, { cause });
  }
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
