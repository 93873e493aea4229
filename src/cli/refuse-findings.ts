import { type ErrorCode, MillraceError } from '../core/errors.ts';

/** What a look at a server told; errors first. */
interface ServerCheck {
  readonly version: string;
  readonly findings: readonly {
    readonly code: ErrorCode;
    readonly severity: 'error' | 'warning';
    readonly problem: string;
    readonly remedy: string;
  }[];
}

/** Throws the first thing that is wrong with a server; where nothing is, its version. */
export function refuseFindings(where: string, { version, findings }: ServerCheck): string {
  const wrong = findings.find(({ severity }) => severity === 'error');
  if (wrong === undefined) return version;
  throw new MillraceError(wrong.code, `${version} at ${where}: ${wrong.problem}`, { remedy: wrong.remedy });
}
