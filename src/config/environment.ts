import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert, MillraceError } from '../core/errors.ts';
import { isObject, textOf } from '../core/event.ts';

/** Root folder of the package: schemas, environments and documents lie in it. */
export const PACKAGE_ROOT = resolve(fileURLToPath(new URL('../..', import.meta.url)));

/** Folder of the schemas that ship with the package. */
export const SCHEMAS_DIRECTORY = join(PACKAGE_ROOT, 'schemas');

/** Version of this package, from its package.json. */
export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));
  const version = isObject(manifest) ? textOf(manifest['version']) : undefined;
  assert(version !== undefined, 'package.json has a version');
  return version;
}

/** What every command is told, from its flags first, then from variables. */
export interface Settings {
  /** `--env`, MILLRACE_ENV, else `local`. */
  readonly environment: string;
  /** Absolute; `--data`, MILLRACE_DATA, else `data` in the working directory. */
  readonly dataDirectory: string;
  /** `--url`, MILLRACE_URL; undefined where the data directory says where the server is. */
  readonly url: string | undefined;
  /** MILLRACE_TOKEN: used where the data directory holds no token. */
  readonly token: string | undefined;
  /** `key=value` texts of `--set`, in order. */
  readonly sets: readonly string[];
  readonly environmentsDirectory: string;
  /** The process's variables, for the configuration and for secrets. */
  readonly env: NodeJS.ProcessEnv;
}

/** The global flags as they were typed. */
export interface GlobalFlags {
  readonly env?: string | undefined;
  readonly data?: string | undefined;
  readonly url?: string | undefined;
  readonly set?: readonly string[] | undefined;
}

/** Joins flags with the process's variables; blank variables count as absent. Throws ERR_CONFIG_INVALID, ERR_USAGE. */
export function readSettings(flags: GlobalFlags, env: NodeJS.ProcessEnv = process.env): Settings {
  const variable = (name: string): string | undefined => env[name] || undefined;
  const environment = flags.env ?? variable('MILLRACE_ENV') ?? 'local';
  checkEnvironmentName(environment);
  if (flags.data === '') {
    // As a shell writes a variable that is not set: the working directory is not what was meant.
    throw new MillraceError('ERR_USAGE', '--data names no folder', {
      remedy: 'Write, for example: --data ./data',
    });
  }
  return {
    environment,
    dataDirectory: resolve(flags.data ?? variable('MILLRACE_DATA') ?? 'data'),
    url: flags.url ?? variable('MILLRACE_URL'),
    token: variable('MILLRACE_TOKEN'),
    sets: flags.set ?? [],
    environmentsDirectory: join(PACKAGE_ROOT, 'environments'),
    env,
  };
}

/** The folder of an environment in the data directory: its data, token and serving document. */
export function environmentFolder(settings: Pick<Settings, 'dataDirectory' | 'environment'>): string {
  return join(settings.dataDirectory, settings.environment);
}

/**
 * Where downloads and builds lie, shared by all data directories of the user: `$XDG_CACHE_HOME/millrace`, else
 * `~/.cache/millrace`. A relative XDG_CACHE_HOME counts as absent, as the XDG specification has it.
 */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_CACHE_HOME'] ?? '';
  return join(isAbsolute(base) ? base : join(env['HOME'] || homedir(), '.cache'), 'millrace');
}

/** Throws ERR_CONFIG_INVALID where a name cannot be an environment's: it becomes a folder and a topic prefix. */
export function checkEnvironmentName(environment: string): void {
  if (/^[a-z0-9][a-z0-9_-]{0,31}$/.test(environment) && environment !== 'base') return;
  throw new MillraceError('ERR_CONFIG_INVALID', `"${environment}" cannot name an environment`, {
    remedy: 'Use up to 32 of a-z, 0-9, - and _, for example: --env local',
  });
}
