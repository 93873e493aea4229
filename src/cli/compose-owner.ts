import { refuseOwned } from '../adapters/log/owner-lock.ts';
import { environmentFolder, type Settings } from '../config/environment.ts';

/**
 * Throws ERR_OWNED where another process serves the environment, before anything of it is changed: a release sealed or
 * a file of the one that serves written anew would not be taken back by the refusal that comes later.
 */
export function refuseServed(settings: Settings): void {
  refuseOwned(environmentFolder(settings));
}
