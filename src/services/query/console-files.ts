import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ApiAnswer } from './route.ts';

/** One file of the built console, as it is sent. */
export interface ConsoleFile {
  readonly type: string;
  readonly bytes: Buffer;
  readonly gzipped: Buffer;
}

/** The built console: its page, and what the page loads by name (names hold the hash of the content). */
export interface ConsoleFiles {
  readonly page: ConsoleFile;
  readonly assets: ReadonlyMap<string, ConsoleFile>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/**
 * What the page may do: load its own script and style, and talk to this server. Nothing inline runs, nothing
 * else is reached, and it is shown in no frame.
 */
export const CONSOLE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/** Reads a built console, `index.html` and `assets/`, into memory: some 200 KB. */
export function readConsole(directory: string): ConsoleFiles {
  const read = (path: string): ConsoleFile => {
    const bytes = readFileSync(join(directory, path));
    return { type: TYPES[extname(path)] ?? 'application/octet-stream', bytes, gzipped: gzipSync(bytes) };
  };
  const names = readdirSync(join(directory, 'assets'));
  return {
    page: read('index.html'),
    assets: new Map(names.map(name => [name, read(join('assets', name))])),
  };
}

/** An answer of a file, compressed where the client takes it. */
export function fileAnswer(
  file: ConsoleFile,
  acceptEncoding: string,
  headers: Record<string, string>,
): ApiAnswer {
  const isGzipped = /\bgzip\b/.test(acceptEncoding);
  return {
    type: file.type,
    headers: {
      ...headers,
      vary: 'accept, accept-encoding',
      ...(isGzipped ? { 'content-encoding': 'gzip' } : {}),
    },
    body: isGzipped ? file.gzipped : file.bytes,
  };
}

/**
 * The page for a browser without the cookie: says where the address is, and asks for nothing. `isWrong` where the
 * address held a key and it is another one.
 */
export function signInPage(isWrong: boolean): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Millrace: open the console</title>
<h1>Open the console from its own address</h1>
<p>${isWrong ? WRONG_KEY : 'This browser has not been let in yet.'}
The address with the key in it is printed when Millrace starts, in the line
that begins with <b>console</b>. To see it again, on the machine that runs Millrace:
<pre>bin/millrace status</pre>
<p>Came here by a link from somewhere else, and signed in before? <a href="/">Open the console</a>.
</html>
`;
}

const WRONG_KEY =
  'The key in this address is not the key of this Millrace: it may be cut off, or of another data directory.';
