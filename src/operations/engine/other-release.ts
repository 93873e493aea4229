import type { Scope } from './operation.ts';
import type { ServedState } from './site.ts';

/** A serving process that goes on with another release than the one that is here. */
export interface OtherRelease {
  readonly servedBy: string;
  /** Id of the release that it runs. */
  readonly release: string;
  /** The command that has it run the one that is here. */
  readonly remedy: string;
}

/**
 * A process loads its release when it starts: one that serves the environment runs what it was started with until it is
 * restarted, whatever is deployed meanwhile. Null where nothing serves, or it runs this release.
 */
export function otherRelease(
  served: ServedState | null,
  { release, environment }: Pick<Scope, 'release' | 'environment'>,
): OtherRelease | null {
  // A trial, and a version before releases, name none.
  if (served === null || served.releaseDigest === '' || served.releaseDigest === release.digest) return null;
  return {
    servedBy: served.url,
    release: served.releaseId,
    remedy: restartCommand(environment),
  };
}

/** What has the process that serves an environment start anew. */
export function restartCommand(environment: string): string {
  return `millrace restart Deploy/Yarn --env ${environment}`;
}
