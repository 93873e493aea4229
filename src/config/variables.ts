import { OPTIONS, type OptionKey } from './options.ts';

/** Prefix of every environment variable that the product reads. */
export const VARIABLE_PREFIX = 'MILLRACE_';

/** Variables with the prefix that are not configuration keys but the command line's global settings. */
export const SETTING_VARIABLES = ['MILLRACE_URL', 'MILLRACE_TOKEN', 'MILLRACE_ENV', 'MILLRACE_DATA'] as const;

/**
 * Tells variables that are not meant for the configuration: those that the test suite reads and the commands it
 * starts inherit, and those that Kubernetes sets for a service named millrace.
 */
export function isForeignVariable(name: string): boolean {
  if (name === 'MILLRACE_SHARED_DATA' || name.startsWith('MILLRACE_TEST_')) return true;
  return /^MILLRACE_(PORT|PORT_.*|SERVICE_HOST|SERVICE_PORT|SERVICE_PORT_.*)$/.test(name);
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

/**
 * The variables that commands and servers started on this machine inherit: all but ours, which may hold secrets
 * that are none of their business.
 */
export function hostVariables(env: NodeJS.ProcessEnv = process.env): Readonly<Record<string, string>> {
  const rows = Object.entries(env).filter(([name]) => !name.startsWith(VARIABLE_PREFIX));
  return Object.fromEntries(rows.filter((row): row is [string, string] => row[1] !== undefined));
}
