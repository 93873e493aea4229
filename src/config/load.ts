import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { MillraceError } from '../core/errors.ts';
import { contradictions } from './check.ts';
import { checkEnvironmentName } from './environment.ts';
import { type Config, OPTIONS, type OptionKey } from './options.ts';
import { type OptionValue, parseValue } from './parse-value.ts';
import { type FileEntry, readConfigFile } from './read-file.ts';
import { didYouMean } from './suggest.ts';
import { isForeignVariable, SETTING_VARIABLES, VARIABLE_PREFIX, VARIABLES } from './variables.ts';

/** The effective configuration and, for every key, where its value came from. */
export interface LoadedConfig {
  readonly config: Config;
  /** `fallback`, `environments/local.yaml:3`, a variable's name, or `--set`. */
  readonly origins: Readonly<Record<OptionKey, string>>;
}

/** Where the configuration of an environment lies. */
export interface ConfigSources {
  readonly environment: string;
  /** Folder of `base.yaml` and `<environment>.yaml`. */
  readonly environmentsDirectory: string;
  readonly env: NodeJS.ProcessEnv;
  /** `key=value` texts of the command line; the last of equal keys wins. */
  readonly sets: readonly string[];
}

type Draft = Record<OptionKey, { value: OptionValue; origin: string }>;

/**
 * Puts together the configuration of an environment: fallbacks, `base.yaml` (may be absent),
 * `<environment>.yaml`, `MILLRACE_<SECTION>_<KEY>` variables, `--set`; later ones win. An empty
 * `dedup.producers` becomes the environment's portal and desktop producers, as in the original.
 * Throws ERR_CONFIG_INVALID that names the key and its origin.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const { problems, ...loaded } = examineConfig(sources);
  const [first] = problems;
  if (first !== undefined) throw first;
  return loaded;
}

/**
 * Puts it together past what is wrong with it: the fallback stands for a value that cannot be. Rules between keys
 * are looked at once each key is right by itself.
 * @returns problems in the order of the sources; none where it is valid
 */
export function examineConfig(
  sources: ConfigSources,
): LoadedConfig & { readonly problems: readonly MillraceError[] } {
  const draft = fallbacks();
  const problems: MillraceError[] = [];
  const collect = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      problems.push(error);
    }
  };
  collect(() => {
    for (const entry of fileEntries(sources)) collect(() => apply(draft, entry));
  });
  for (const [name, value] of Object.entries(sources.env)) {
    collect(() => {
      const entry = variableEntry(name, value);
      if (entry !== undefined) apply(draft, entry);
    });
  }
  for (const text of sources.sets) collect(() => apply(draft, parseSet(text)));
  resolveProducers(draft, sources.environment);
  const config = pick(draft, row => row.value) as Config;
  const broken = problems.length > 0 ? [] : contradictions(config);
  for (const { key, problem } of broken) {
    const why = `${key} ${problem} (${draft[key].origin})`;
    problems.push(new MillraceError('ERR_CONFIG_INVALID', why, { remedy: `millrace config explain ${key}` }));
  }
  return { config, origins: pick(draft, row => row.origin), problems };
}

/** Looks at `--set` texts alone, for commands that need no configuration; throws ERR_CONFIG_INVALID. */
export function checkSets(sets: readonly string[]): void {
  const draft = fallbacks();
  for (const text of sets) apply(draft, parseSet(text));
}

/** Throws ERR_CONFIG_INVALID, naming those that there are, where no file declares the environment. */
export function checkEnvironmentFile(
  sources: Pick<ConfigSources, 'environment' | 'environmentsDirectory'>,
): void {
  fileEntries(sources);
}

/** SHA-256, hex, of the effective values by key: equal digests run the same way. Holds no secret. */
export function configDigest(config: Config): string {
  const rows = Object.entries(config).sort(([left], [right]) => (left < right ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex');
}

function fallbacks(): Draft {
  const rows = Object.entries(OPTIONS).map(([key, spec]) => [
    key,
    { value: spec.fallback, origin: 'fallback' },
  ]);
  return Object.fromEntries(rows) as Draft;
}

function fileEntries({
  environment,
  environmentsDirectory,
}: Pick<ConfigSources, 'environment' | 'environmentsDirectory'>): readonly FileEntry[] {
  checkEnvironmentName(environment);
  const folder = basename(environmentsDirectory);
  const read = (file: string) => readConfigFile(join(environmentsDirectory, file), `${folder}/${file}`);
  const own = read(`${environment}.yaml`);
  if (own === undefined) {
    const known = listEnvironments(environmentsDirectory);
    throw new MillraceError(
      'ERR_CONFIG_INVALID',
      `there is no ${folder}/${environment}.yaml${didYouMean(environment, known)}`,
      { remedy: `Write ${environment}.yaml, or use one of: ${known.join(', ') || '(none there)'}` },
    );
  }
  return [...(read('base.yaml') ?? []), ...own];
}

/** Names of the environments that have a file in the folder, sorted; empty where the folder cannot be read. */
export function listEnvironments(directory: string): readonly string[] {
  let names: readonly string[] = [];
  try {
    names = readdirSync(directory);
  } catch {
    // The caller reports the missing file, which is the same finding.
  }
  return names
    .filter(name => name.endsWith('.yaml') && name !== 'base.yaml')
    .map(name => name.slice(0, -'.yaml'.length))
    .sort();
}

/** What a variable of the process says of the configuration; undefined where it is none of ours. */
function variableEntry(name: string, value: string | undefined): FileEntry | undefined {
  if (!name.startsWith(VARIABLE_PREFIX) || value === undefined) return undefined;
  if ((SETTING_VARIABLES as readonly string[]).includes(name) || isForeignVariable(name)) return undefined;
  const key = VARIABLES.get(name);
  if (key !== undefined) return { key, value, origin: name };
  const known = [...VARIABLES.keys(), ...SETTING_VARIABLES];
  throw new MillraceError(
    'ERR_CONFIG_INVALID',
    `the environment variable ${name} is no configuration key${didYouMean(name, known)}`,
    { remedy: `Correct it, or: unset ${name}` },
  );
}

function parseSet(text: string): FileEntry {
  const cut = text.indexOf('=');
  if (cut < 1) {
    throw new MillraceError('ERR_CONFIG_INVALID', `--set ${text} is not key=value`, {
      remedy: 'Write, for example: --set dedup.ttlMs=60000',
    });
  }
  return { key: text.slice(0, cut).trim(), value: text.slice(cut + 1), origin: '--set' };
}

function apply(draft: Draft, { key, value, origin }: FileEntry): void {
  if (!isOptionKey(key)) {
    throw new MillraceError(
      'ERR_CONFIG_INVALID',
      `${origin}: there is no key ${key}${didYouMean(key, Object.keys(OPTIONS))}`,
      { remedy: 'millrace config show lists every key.' },
    );
  }
  const parsed = parseValue(key, value);
  if ('problem' in parsed) {
    throw new MillraceError('ERR_CONFIG_INVALID', `${origin}: ${key} ${parsed.problem}`, {
      remedy: `millrace config explain ${key}`,
    });
  }
  draft[key] = { value: parsed.value, origin };
}

/** Tells a declared key from any other text. */
export function isOptionKey(key: string): key is OptionKey {
  return Object.hasOwn(OPTIONS, key);
}

function resolveProducers(draft: Draft, environment: string): void {
  const row = draft['dedup.producers'];
  if (Array.isArray(row.value) && row.value.length === 0) {
    row.value = [`${environment}.sunbird.portal`, `${environment}.sunbird.desktop`];
  }
}

function pick<T>(draft: Draft, part: (row: Draft[OptionKey]) => T): Record<OptionKey, T> {
  const rows = Object.entries(draft).map(([key, row]) => [key, part(row)]);
  return Object.fromEntries(rows) as Record<OptionKey, T>;
}
