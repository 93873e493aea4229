import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { putFile } from '../config/put-file.ts';
import { MillraceError } from '../core/errors.ts';
import type { Logger } from '../observability/logger.ts';
import { isSendable } from '../services/query/access.ts';

/** Version of the layout below; a data directory that says another number is not touched. */
const FORMAT_VERSION = 1;
const PRODUCT = 'millrace';

/** Text of `format.json`, which marks a data directory as ours. */
export const FORMAT_STAMP = `${JSON.stringify({ product: PRODUCT, formatVersion: FORMAT_VERSION })}\n`;

/** Where an environment keeps its things. */
export interface EnvironmentPaths {
  readonly root: string;
  readonly log: string;
  readonly state: string;
  readonly archive: string;
  /** Versions of the operator's event schemas, and which are published; absent where there are none. */
  readonly schemas: string;
  readonly tablesFile: string;
  readonly cacheFile: string;
  readonly servingFile: string;
  readonly tokenFile: string;
}

/** The paths of an environment below a data directory. */
export function environmentPaths(dataDirectory: string, environment: string): EnvironmentPaths {
  const root = join(dataDirectory, environment);
  return {
    root,
    log: join(root, 'log'),
    state: join(root, 'state'),
    archive: join(root, 'archive'),
    schemas: join(root, 'schemas'),
    tablesFile: join(root, 'tables.sqlite'),
    cacheFile: join(root, 'cache.sqlite'),
    servingFile: join(root, 'serving.json'),
    tokenFile: join(root, 'token'),
  };
}

/**
 * Creates what is missing of a data directory: the folders above servers 0711 (some run as other
 * users), what else lies in it 0700, and the format version. Throws ERR_DATA_FORMAT where another version wrote it.
 */
export async function prepareDataDirectory(
  dataDirectory: string,
  environment: string,
): Promise<EnvironmentPaths> {
  const paths = environmentPaths(dataDirectory, environment);
  await mkdir(dataDirectory, { recursive: true });
  await checkFormat(dataDirectory);
  await chmod(dataDirectory, 0o711);
  await mkdir(paths.root, { recursive: true, mode: 0o711 });
  await chmod(paths.root, 0o711);
  for (const folder of [paths.log, paths.state, paths.archive]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  return paths;
}

/**
 * The operator token of an environment, mode 0600; drawn on first use, and anew where what is there can be sent neither
 * as bearer nor as cookie, as a damaged one.
 */
export async function operatorToken(paths: EnvironmentPaths, logger: Logger): Promise<string> {
  const found = (await readText(paths.tokenFile))?.trim() ?? '';
  if (isSendable(found)) return found;
  if (found !== '') logger.warn({ path: paths.tokenFile }, 'operator token damaged; another one was drawn');
  const token = drawSecret();
  await putFile(paths.tokenFile, `${token}\n`);
  return token;
}

/** A new secret: 192 bits, URL-safe. */
export function drawSecret(): string {
  return randomBytes(24).toString('base64url');
}

/** Says where the environment is served, for commands that look for it. */
export async function announce(paths: EnvironmentPaths, url: string): Promise<void> {
  await putFile(paths.servingFile, `${JSON.stringify({ url, pid: process.pid, startedAtMs: Date.now() })}\n`);
}

/** Takes back {@link announce}. */
export async function withdraw(paths: EnvironmentPaths): Promise<void> {
  await rm(paths.servingFile, { force: true });
}

async function checkFormat(dataDirectory: string): Promise<void> {
  const file = join(dataDirectory, 'format.json');
  const text = await readText(file);
  if (text === undefined) {
    await putFile(file, FORMAT_STAMP);
    return;
  }
  const version = versionIn(text);
  if (version !== FORMAT_VERSION) {
    throw new MillraceError(
      'ERR_DATA_FORMAT',
      `${file} says format ${String(version)}; this version writes ${FORMAT_VERSION}`,
    );
  }
}

/** The version that a format file names; a word for it where the file is damaged or another product's. */
function versionIn(text: string): unknown {
  try {
    const { product, formatVersion } = JSON.parse(text) as { product?: unknown; formatVersion?: unknown };
    return product === PRODUCT ? formatVersion : 'of another product';
  } catch {
    return 'unreadable';
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
