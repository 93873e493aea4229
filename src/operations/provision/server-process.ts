import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../../core/errors.ts';
import type { Host, ProcessSpec, ProcessState } from '../../core/host.ts';
import type { StepContext } from '../../core/operation.ts';
import { digestOf } from './digest.ts';
import type { ManagedFile } from './managed-file.ts';
import type { Difference, Part } from './part.ts';

/** A process of a server with all that decides how it runs. */
export interface ServerProcess {
  readonly spec: Omit<ProcessSpec, 'digest'>;
  /** Read by it when it starts: where one changes, it starts anew. */
  readonly files: readonly ManagedFile[];
  /** Loopback ports it listens on. */
  readonly ports: readonly number[];
}

const PORT_MS_MAX = 3_000;
const LOOK_MS = 50;

/** What is particular about starting the processes of a server. */
export interface StartOptions {
  /** Most of them that start at once. */
  readonly startsMax?: (cpuCount: number) => number;
  /** Resolves when nothing of an earlier life stands against their start. */
  readonly mayStart?: (context: StepContext, names: readonly string[]) => Promise<void>;
}

/** The step that starts processes of one server, or starts them anew where they run with another configuration. */
export function processPart(
  title: string,
  processes: readonly ServerProcess[],
  /** Resolves when those that have just been started are ready. */
  ready: (host: Host, started: readonly string[], signal: AbortSignal) => Promise<void>,
  { startsMax = () => processes.length, mayStart }: StartOptions = {},
): Part {
  const start = async (context: StepContext, due: readonly ServerProcess[]) => {
    // Together: brokers one after another wait for a majority that has left, or that they cannot log in to any more.
    await Promise.all(due.map(({ spec }) => context.host.stop(spec.name)));
    const waveSize = startsMax((await context.host.facts()).cpuCount);
    for (let next = 0; next < due.length; next += waveSize) {
      const wave = due.slice(next, next + waveSize);
      const names = wave.map(({ spec }) => spec.name);
      await mayStart?.(context, names);
      for (const process of wave) await startProcess(context, process);
      await ready(context.host, names, context.signal);
    }
  };
  return {
    step: 'start',
    what: `start ${title}`,
    observe: host => observeProcesses(host, processes),
    async apply(context) {
      const due: ServerProcess[] = [];
      for (const process of processes) if (await isDue(context.host, process)) due.push(process);
      await start(context, due);
    },
    restart: (context, names) =>
      start(
        context,
        processes.filter(({ spec }) => names.includes(spec.name)),
      ),
  };
}

/** Starts a process of ours once its ports are free; resolves when it runs, not when it is ready. */
export async function startProcess(
  { host, progress }: StepContext,
  { spec, files, ports }: ServerProcess,
): Promise<void> {
  await checkPorts(host, { name: spec.name, ports, waitMs: PORT_MS_MAX });
  progress(`starting ${spec.name}`);
  await host.start({ ...spec, digest: (await digestOfProcess(host, spec, files)) ?? '' });
}

async function observeProcesses(
  host: Host,
  processes: readonly ServerProcess[],
): Promise<Difference | undefined> {
  const before: string[] = [];
  for (const { spec, files, ports } of processes) {
    const state = await host.process(spec.name);
    // What was killed may hold its port for a moment longer; what was never started holds none.
    const waitMs = state.state === 'failed' ? PORT_MS_MAX : 0;
    if (state.state !== 'running') await checkPorts(host, { name: spec.name, ports, waitMs });
    const found = describe(state, await digestOfProcess(host, spec, files));
    if (found !== undefined) before.push(processes.length === 1 ? found : `${spec.name} ${found}`);
  }
  return before.length === 0 ? undefined : { before: before.join('\n'), after: 'running' };
}

/** What is wrong with a process, undefined for nothing. */
function describe({ state, digest, detail }: ProcessState, wanted: string | undefined): string | undefined {
  if (state !== 'running') return detail === '' ? state : `${state}: ${detail}`;
  return digest === wanted ? undefined : 'running with another configuration';
}

async function isDue(host: Host, { spec, files }: ServerProcess): Promise<boolean> {
  const state = await host.process(spec.name);
  return describe(state, await digestOfProcess(host, spec, files)) !== undefined;
}

/** Undefined where a file follows from a secret that is not drawn yet. */
async function digestOfProcess(
  host: Host,
  spec: ServerProcess['spec'],
  files: readonly ManagedFile[],
): Promise<string | undefined> {
  const contents: string[] = [];
  for (const file of files) {
    const content = await file.content(host);
    if (content === undefined) return undefined;
    contents.push(content);
  }
  return digestOf([spec, contents]);
}

async function checkPorts(
  host: Host,
  {
    name,
    ports,
    waitMs,
  }: { readonly name: string; readonly ports: readonly number[]; readonly waitMs: number },
): Promise<void> {
  const endMs = performance.now() + waitMs;
  for (const port of ports) {
    while (!(await host.isPortFree(port))) {
      if (performance.now() > endMs) {
        throw new MillraceError('ERR_PORT_TAKEN', `${name} is to listen on 127.0.0.1:${port}`, {
          remedy: 'Stop what listens there, or set host.portBase to the first port of a free block.',
        });
      }
      await delay(LOOK_MS);
    }
  }
}
