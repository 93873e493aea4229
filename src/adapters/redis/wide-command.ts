import { Command } from 'iovalkey';

/** Between the words of a command: the end of one, and how many bytes the next has. */
const NEXT = '\r\n$';
const END = '\r\n';

/**
 * A command with many arguments. The client puts a command together from a piece for each part of each argument,
 * which are copied into one only as it is sent: 3 us an event for looking up and marking its keys. Here one text is
 * made of all, and of that its bytes.
 */
export class WideCommand extends Command {
  readonly #bytes: Buffer;

  constructor(name: string, args: readonly string[]) {
    super(name, [], { replyEncoding: 'utf8' });
    this.#bytes = encode([name, ...args]);
  }

  override toWritable(): Buffer {
    return this.#bytes;
  }
}

/** An array of bulk strings (RESP). */
function encode(words: readonly string[]): Buffer {
  // Right where all is ASCII, which then shows: nothing else has as many bytes as characters.
  const text = textOf(words, word => word.length);
  if (Buffer.byteLength(text) === text.length) return Buffer.from(text, 'latin1');
  return Buffer.from(textOf(words, Buffer.byteLength), 'utf8');
}

function textOf(words: readonly string[], bytesOf: (word: string) => number): string {
  const parts: (string | number)[] = ['*', words.length];
  for (const word of words) parts.push(NEXT, bytesOf(word), END, word);
  parts.push(END);
  return parts.join('');
}
