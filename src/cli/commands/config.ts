import { configDigest, examineConfig, isOptionKey, loadConfig } from '../../config/load.ts';
import { OPTIONS, type OptionKey, type OptionSpec } from '../../config/options.ts';
import { didYouMean } from '../../config/suggest.ts';
import { variableOf } from '../../config/variables.ts';
import { type ErrorDocument, MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { formatPairs, formatTable } from '../format.ts';
import { secretReferences, unresolvedSecret } from '../secret-references.ts';

/** `config show`: needs no server. Secrets are references in the configuration, so none is shown. */
export async function showConfig({ settings, output }: Call): Promise<undefined> {
  const { config, origins } = loadConfig(settings);
  const keys = Object.keys(OPTIONS) as OptionKey[];
  const rows = keys.map(key => ({ key, value: config[key], origin: origins[key] }));
  const document = { environment: settings.environment, digest: configDigest(config), config: rows };
  output.document(document, () =>
    formatTable(
      [{ title: 'KEY' }, { title: 'VALUE' }, { title: 'FROM' }],
      rows.map(row => [row.key, valueText(row.value), row.origin]),
    ),
  );
}

/** `config explain KEY`. */
export async function explainConfig(call: Call): Promise<undefined> {
  const key = call.arg(0);
  if (!isOptionKey(key)) {
    const why = `there is no key ${key}${didYouMean(key, Object.keys(OPTIONS))}`;
    throw new MillraceError('ERR_CONFIG_INVALID', why, { remedy: 'millrace config show lists every key.' });
  }
  const { config, origins } = loadConfig(call.settings);
  const spec: OptionSpec = OPTIONS[key];
  const document = { key, value: config[key], origin: origins[key], variable: variableOf(key), ...spec };
  call.output.document(document, () =>
    formatPairs([
      ['key', key],
      ['does', spec.does],
      ['value', valueText(config[key])],
      ['from', origins[key]],
      ['type', boundsText(spec)],
      ['fallback', valueText(spec.fallback)],
      [
        'change it',
        `--set ${key}=…, or ${variableOf(key)}, or environments/${call.settings.environment}.yaml`,
      ],
    ]),
  );
}

/** `config check`: all that `up` would refuse of keys, values and secrets, with the remedy for each; exit 1. */
export async function checkConfig({ settings, output }: Call): Promise<number> {
  const { environment, env } = settings;
  const { config, problems } = examineConfig(settings);
  const missing = secretReferences(config).flatMap(reference => {
    const problem = unresolvedSecret(reference, env)?.toDocument();
    return problem === undefined ? [] : [{ ...problem, why: `${reference.key}: ${problem.why}` }];
  });
  const found = [...problems.map(problem => problem.toDocument()), ...missing];
  const ok = found.length === 0;
  const document = { ok, environment, digest: ok ? configDigest(config) : null, problems: found };
  output.document(document, () =>
    ok
      ? `The configuration of ${environment} is valid.\n`
      : `The configuration of ${environment} is not valid.\n${found.map(problemText).join('')}`,
  );
  return ok ? 0 : 1;
}

function problemText({ why, remedy }: ErrorDocument): string {
  return `  ${why}\n    try: ${remedy}\n`;
}

function valueText(value: number | string | boolean | readonly string[]): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (Array.isArray(value)) return value.length === 0 ? '(empty)' : value.join(', ');
  return value === '' ? '(empty)' : String(value);
}

function boundsText({ type, min, max, oneOf }: OptionSpec): string {
  if (oneOf !== undefined) return oneOf.join(' or ');
  if (type !== 'integer') return type;
  return max === undefined || max === Number.MAX_SAFE_INTEGER
    ? `integer, at least ${min ?? 0}`
    : `integer, ${min ?? 0} to ${max}`;
}
