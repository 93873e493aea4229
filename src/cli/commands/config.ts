import { configDigest, isOptionKey, loadConfig } from '../../config/load.ts';
import { OPTIONS, type OptionKey, type OptionSpec } from '../../config/options.ts';
import { resolveSecret } from '../../config/secret.ts';
import { didYouMean } from '../../config/suggest.ts';
import { variableOf } from '../../config/variables.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { formatPairs, formatTable } from '../format.ts';

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

/** `config check`: what `up` would refuse, it refuses. */
export async function checkConfig({ settings, output }: Call): Promise<undefined> {
  const { config } = loadConfig(settings);
  for (const reference of config['ingest.tokens']) resolveSecret(reference, settings.env);
  const document = { ok: true, environment: settings.environment, digest: configDigest(config) };
  output.document(document, () => `The configuration of ${settings.environment} is valid.\n`);
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
