import { type Config, OPTIONS, type OptionKey } from '../config/options.ts';
import { resolveSecret } from '../config/secret.ts';
import { MillraceError } from '../core/errors.ts';

/** A secret that the configuration refers to; never the secret itself. */
export interface SecretReference {
  readonly key: OptionKey;
  /** `env:NAME` or `file:PATH`. */
  readonly reference: string;
  readonly usedBy: string;
}

/** Every secret that the configuration refers to, in the order of its keys. */
export function secretReferences(config: Config): readonly SecretReference[] {
  const single = (Object.keys(OPTIONS) as OptionKey[]).filter(key => OPTIONS[key].type === 'secret');
  return [
    ...config['ingest.tokens'].map(reference => ({
      key: 'ingest.tokens' as const,
      reference,
      usedBy: 'the ingest API',
    })),
    ...single.flatMap(key => {
      const reference = String(config[key]);
      return reference === '' ? [] : [{ key, reference, usedBy: key.split('.')[0] ?? '' }];
    }),
  ];
}

/** Why a secret cannot be read, null where it can. */
export function unresolvedSecret(
  { reference }: SecretReference,
  env: NodeJS.ProcessEnv,
): MillraceError | null {
  try {
    resolveSecret(reference, env);
    return null;
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
}
