import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runningServers } from '../../src/cli/compose-servers.ts';
import { readSettings } from '../../src/config/environment.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { ComponentDocument, StatusDocument } from '../../src/core/documents.ts';
import { type CommandLine, endOf } from './command-line.ts';

const LOOK_MS = 100;

/** An environment that `up` serves. */
export interface Serving {
  /** Ends it as Ctrl-C does; resolves with all it said, fails where it does not end with 0. */
  stop(): Promise<string>;
}

/** Starts `up` on a free port; resolves when it serves, fails with what it said where it ends before. */
export async function startUp(
  line: CommandLine,
  environment: string,
  flags: readonly string[],
): Promise<Serving> {
  const child = line.start(['up', '--port', '0', '--env', environment, ...flags]);
  const end = endOf(child);
  const file = join(line.data, environment, 'serving.json');
  while (!existsSync(file)) {
    if (child.exitCode !== null) assert.fail((await end).stderr);
    await delay(LOOK_MS);
  }
  return {
    async stop() {
      child.kill('SIGTERM');
      const { status, stdout, stderr } = await end;
      assert.equal(status, 0, stdout.slice(-2000) + stderr);
      return stdout;
    },
  };
}

/** Pids of the servers that run, by the name of their process. */
export async function runningPids(
  line: { readonly data: string },
  environment: string,
  sets: readonly string[] = [],
): Promise<ReadonlyMap<string, number>> {
  const settings = readSettings({ env: environment, data: line.data, set: sets }, {});
  return runningServers({ ...settings, config: loadConfig(settings).config });
}

/** Waits until a component of `status` is so; resolves with it, undefined where it is gone. */
export async function untilComponent(
  line: CommandLine,
  {
    environment,
    name,
    isMet,
  }: {
    readonly environment: string;
    readonly name: string;
    isMet(found: ComponentDocument | undefined): boolean;
  },
): Promise<ComponentDocument | undefined> {
  // The test's own deadline ends it.
  for (;;) {
    const status = await line.json<StatusDocument>(['status', '--env', environment]);
    const found = status.components.find(component => component.name === name);
    if (isMet(found)) return found;
    await delay(LOOK_MS);
  }
}
