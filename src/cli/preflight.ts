import type { Settings } from '../config/environment.ts';
import { environmentFolder } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import { MillraceError } from '../core/errors.ts';
import { composeHost } from './compose-servers.ts';
import { secretReferences, unresolvedSecret } from './secret-references.ts';

/** Below this, bytes, nothing is set up: the log alone would answer 503 at once. */
const FREE_BYTES_MIN = 64 * 1024 * 1024;

/**
 * What must hold before anything is changed or started: every secret that the configuration refers to is there, and
 * the disk has room. Throws the error that says what to do.
 */
export async function refuseUnready(settings: Settings, config: Config): Promise<void> {
  for (const reference of secretReferences(config)) {
    const why = unresolvedSecret(reference, settings.env);
    if (why === null) continue;
    throw new MillraceError(
      'ERR_CONFIG_INVALID',
      `${reference.key} (used by ${reference.usedBy}): ${why.why}`,
      {
        remedy: why.remedy,
      },
    );
  }
  const { freeBytes } = await composeHost(environmentFolder(settings)).facts();
  const wanted = Math.max(FREE_BYTES_MIN, config['log.freeBytesMin']);
  if (freeBytes < wanted) {
    throw new MillraceError(
      'ERR_DISK_FULL',
      `${settings.dataDirectory} has ${freeBytes} bytes free, ${wanted} are needed`,
      {
        remedy: 'Free space, use another --data, or lower log.freeBytesMin.',
      },
    );
  }
}
