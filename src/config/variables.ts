import { OPTIONS, type OptionKey } from './options.ts';

/** Prefix of every environment variable that the product reads. */
export const VARIABLE_PREFIX = 'MILLRACE_';

/** Variables with the prefix that are not configuration keys but the command line's global settings. */
export const SETTING_VARIABLES = ['MILLRACE_URL', 'MILLRACE_TOKEN', 'MILLRACE_ENV', 'MILLRACE_DATA'] as const;

/** Tells variables that the test suite reads (seeds, the place of its data) and the commands it starts inherit. */
export function isTestVariable(name: string): boolean {
  return name === 'MILLRACE_SHARED_DATA' || name.startsWith('MILLRACE_TEST_');
}

/** The variable of a key: `dedup.ttlMs` is `MILLRACE_DEDUP_TTL_MS`. */
export function variableOf(key: OptionKey): string {
  const words = key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replaceAll('.', '_');
  return VARIABLE_PREFIX + words.toUpperCase();
}

/** Every configuration variable with its key. */
export const VARIABLES: ReadonlyMap<string, OptionKey> = new Map(
  Object.keys(OPTIONS).map(key => [variableOf(key as OptionKey), key as OptionKey]),
);
