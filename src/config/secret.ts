import { readFileSync } from 'node:fs';
import { MillraceError } from '../core/errors.ts';

const SECRET_BYTES_MAX = 64 * 1024;

/**
 * The secret that a reference points to: `env:NAME` (a variable) or `file:PATH` (a file's text without the
 * line end; relative to the working directory). Throws ERR_CONFIG_INVALID where it is missing or blank; the
 * message names the reference, never the secret.
 */
export function resolveSecret(reference: string, env: NodeJS.ProcessEnv = process.env): string {
  const [, kind, place = ''] = /^(env|file):(.+)$/.exec(reference) ?? [];
  if (kind === undefined) {
    // What stands here may be the secret itself, put in the wrong place: it must not reach a log.
    throw new MillraceError('ERR_CONFIG_INVALID', 'a secret is not given as env:NAME or file:PATH');
  }
  const secret = kind === 'env' ? env[place] : readSecretFile(place, reference);
  if (secret === undefined || secret.trim() === '') {
    throw new MillraceError('ERR_CONFIG_INVALID', `the secret ${reference} is missing or blank`, {
      remedy: kind === 'env' ? `Set the variable ${place}.` : `Write the secret into ${place}.`,
    });
  }
  return secret.trim();
}

function readSecretFile(path: string, reference: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new MillraceError('ERR_CONFIG_INVALID', `the secret ${reference} cannot be read`, {
      cause,
      remedy: `Write the secret into ${path}, readable by this user alone.`,
    });
  }
  if (bytes.length > SECRET_BYTES_MAX) {
    throw new MillraceError(
      'ERR_CONFIG_INVALID',
      `the secret ${reference} is larger than ${SECRET_BYTES_MAX} bytes`,
    );
  }
  return bytes.toString('utf8');
}
