import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Part } from './part.ts';

const VERSION_MIN = 17;
const VERSION_MS_MAX = 60_000;

/**
 * The Java runtime, as a part that is never due: it says beforehand where there is none, or an older one.
 * Looked at only while one of the processes does not run.
 */
export function javaPart(processes: readonly string[]): Part {
  return {
    step: 'java',
    what: 'find Java',
    async observe(host) {
      if (await areRunning(host, processes)) return undefined;
      if ((await host.which('java')) === undefined) throw missing('java is not on the host');
      const { stderr } = await host.exec(['java', '-version'], { timeoutMs: VERSION_MS_MAX });
      const version = /version "(\d+)/.exec(stderr)?.[1];
      if (Number(version) < VERSION_MIN) throw missing(`java is version ${version}`);
      return undefined;
    },
    async apply() {},
  };
}

async function areRunning(host: Host, processes: readonly string[]): Promise<boolean> {
  for (const name of processes) if ((await host.process(name)).state !== 'running') return false;
  return true;
}

function missing(why: string): MillraceError {
  return new MillraceError('ERR_TOOL_MISSING', why, {
    remedy: `Install a Java runtime ${VERSION_MIN} or newer: apt-get install openjdk-17-jre-headless`,
  });
}
