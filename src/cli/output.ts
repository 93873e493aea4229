import { once } from 'node:events';
import { type ErrorDocument, MillraceError } from '../core/errors.ts';

/** Where a command puts its answer (standard output) and what it says on the way (standard error). */
export interface Output {
  /** Standard output holds documents only. */
  readonly json: boolean;
  /** True where a person watches standard error, so progress may redraw its line. */
  readonly interactive: boolean;
  /** The answer: the document as one JSON line with `--json`, else its text (which ends with a line end). */
  document(document: object, text: () => string): void;
  /** Part of an answer that streams; resolves when the reader has room for more. */
  write(chunk: string | Uint8Array): Promise<void>;
  /** A remark on the way; not with `--quiet`. */
  note(text: string): void;
  /** Redraws one line of progress on a terminal; nothing elsewhere. An empty text wipes it. */
  progress(text: string): void;
}

/** A reader that goes away (`| head`) ends the process without a word, also while it is being helped. */
export function endWithReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', error => {
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
}

/** The output of this process. */
export function openOutput(flags: { readonly json: boolean; readonly quiet: boolean }): Output {
  const { stdout, stderr } = process;
  const interactive = stderr.isTTY === true && !flags.quiet;
  return {
    json: flags.json,
    interactive,
    document: (document, text) => void stdout.write(flags.json ? `${JSON.stringify(document)}\n` : text()),
    write: async chunk => {
      if (!stdout.write(chunk)) await once(stdout, 'drain');
    },
    note: text => {
      if (!flags.quiet) stderr.write(`${text}\n`);
    },
    progress: text => {
      if (interactive) stderr.write(`\r\u001b[K${text}`);
    },
  };
}

/**
 * Says why a command failed: the document on standard output with `--json`, else three lines on standard
 * error. Only a bug of ours shows its stack, always on standard error.
 */
export function reportFailure(error: unknown, json: boolean): void {
  const document = documentOf(error);
  if (json) process.stdout.write(`${JSON.stringify({ error: document })}\n`);
  else
    process.stderr.write(
      `millrace: ${document.message}\n  why: ${document.why}\n  try: ${document.remedy}\n`,
    );
  if (!(error instanceof MillraceError)) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  }
}

function documentOf(error: unknown): ErrorDocument {
  if (error instanceof MillraceError) return error.toDocument();
  const why = error instanceof Error ? error.message : String(error);
  return new MillraceError('ERR_INTERNAL', why, { cause: error }).toDocument();
}
