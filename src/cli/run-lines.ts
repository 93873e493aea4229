import { Readable } from 'node:stream';

/** Lines that are kept of one run: a run of everything says some 300. */
const LINES_MAX = 20_000;

/** The lines of a run, kept so that whoever looks, and whenever, reads them from the first to the run's end. */
export interface RunLines {
  /** Adds a line without its line feed. */
  add(line: string): void;
  /** No more will come. */
  end(): void;
  /** Everything from the first line on; ends with the run. A reader that goes away leaves the run alone. */
  read(): Readable;
}

/** Makes room for the lines of one run. Beyond {@link LINES_MAX} only the last one, its summary, is kept. */
export function keepRunLines(): RunLines {
  const lines: string[] = [];
  let isEnded = false;
  let changed = Promise.withResolvers<void>();
  const tell = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  async function* follow(): AsyncGenerator<string> {
    // Ends with the run.
    for (let next = 0; ; ) {
      while (next < lines.length) yield `${lines[next++]}\n`;
      if (isEnded) return;
      await changed.promise;
    }
  }
  let last: string | undefined;
  return {
    add(line) {
      if (lines.length < LINES_MAX) lines.push(line);
      else last = line;
      tell();
    },
    end() {
      if (last !== undefined) lines.push(last);
      isEnded = true;
      tell();
    },
    read: () => Readable.from(follow()),
  };
}
