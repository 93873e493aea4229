import { MillraceError } from '../core/errors.ts';
import type { StoreCheck } from '../core/store-check.ts';

/** Throws the first thing that is wrong with a server; where nothing is, its version. */
export function refuseFindings(where: string, { version, findings }: StoreCheck): string {
  const wrong = findings.find(({ severity }) => severity === 'error');
  if (wrong === undefined) return version;
  throw new MillraceError(wrong.code, `${version} at ${where}: ${wrong.problem}`, { remedy: wrong.remedy });
}
