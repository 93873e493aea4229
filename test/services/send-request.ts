import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Config } from '../../src/config/options.ts';
import { TOKEN } from './start-server.ts';

/** A request that a fixture describes. */
export interface RequestFixture {
  readonly does: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly bodyBase64?: string;
  /** Bytes to which the body is filled up with spaces. */
  readonly padTo?: number;
  /** Whether the body stops before its end. */
  readonly stalls?: boolean;
  /** Whether the operator token is sent. */
  readonly operator?: boolean;
  /** Options that the server is started with. */
  readonly config?: Partial<Config>;
  /** What an accepted batch must come to. */
  readonly expect?: {
    readonly did: string | null;
    readonly channel: string | null;
    readonly pid: string | null;
    /** The record's key; `mid` where it is the one that was made up. */
    readonly key: string;
    readonly events: number;
  };
}

/** The answer to a request, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
}

const FIXTURES = join(import.meta.dirname, '../../fixtures');

/** Names below a folder of fixtures, sorted. */
export function listFixtures(folder: string): readonly string[] {
  return readdirSync(join(FIXTURES, folder)).sort();
}

/** Reads the fixture at a path below `fixtures/`. */
export function readFixture(path: string): RequestFixture {
  return JSON.parse(readFileSync(join(FIXTURES, path), 'utf8'));
}

/** Sends a fixture with exactly its headers, which `fetch` would not. */
export function sendFixture(url: string, fixture: RequestFixture): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const bytes = bodyOf(fixture);
  const headers = { ...(fixture.operator ? { authorization: `Bearer ${TOKEN}` } : {}), ...fixture.headers };
  const outgoing = request(
    url + fixture.path,
    { method: fixture.method, headers, agent: false },
    response => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        outgoing.destroy();
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    },
  );
  outgoing.on('error', reject);
  if (fixture.stalls) outgoing.write(bytes);
  else outgoing.end(bytes);
  return promise;
}

function bodyOf({ body = '', bodyBase64, padTo = 0 }: RequestFixture): Buffer {
  const bytes = bodyBase64 === undefined ? Buffer.from(body) : Buffer.from(bodyBase64, 'base64');
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, padTo - bytes.length), ' ')]);
}
