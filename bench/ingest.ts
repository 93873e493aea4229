import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Figure } from './figure.ts';

const execute = promisify(execFile);
const DURATION_MS = 5_000;
const CONNECTIONS = 32;
const ROUNDS = 2;

interface Load {
  readonly name: string;
  readonly eventsPerRequest: number;
  readonly isGzip: boolean;
  readonly ratioMin?: number;
}

const LOADS: readonly Load[] = [
  { name: '1 event a request', eventsPerRequest: 1, isGzip: false, ratioMin: 0.75 },
  { name: '100 events a request', eventsPerRequest: 100, isGzip: false, ratioMin: 0.6 },
  { name: '100 events a request, gzip', eventsPerRequest: 100, isGzip: true },
];

interface Measured {
  readonly perSecond: number;
  /** All of them, those before the generator counts as well: {@link cpuUs} is for all. */
  readonly accepted: number;
  readonly refused: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
}

/**
 * Durable ingest against a bare server with the same promise and against one that only answers: each server in a
 * process of its own, the generator in another, best of interleaved rounds; refused requests are not counted.
 */
export async function run(): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const load of LOADS) {
    const best: Record<string, Measured> = {};
    for (let round = 0; round < ROUNDS; round++) {
      for (const server of ['answer', 'durable', 'ingest']) {
        const measured = await measure(server, load);
        if (measured.perSecond > (best[server]?.perSecond ?? 0)) best[server] = measured;
      }
    }
    const { answer, durable, ingest } = best as Record<'answer' | 'durable' | 'ingest', Measured>;
    const floorHalf = await measure('durable', load, durable.perSecond / 2);
    const half = await measure('ingest', load, ingest.perSecond / 2);
    const goal = load.ratioMin === undefined ? {} : { goal: { atLeast: load.ratioMin } };
    const eventUs = ingest.cpuUs / (ingest.accepted * load.eventsPerRequest);
    figures.push(
      { name: `${load.name}: requests`, value: ingest.perSecond, unit: '/s' },
      {
        name: `${load.name}: to the durable floor`,
        value: ingest.perSecond / durable.perSecond,
        unit: 'ratio',
        ...goal,
      },
      {
        name: `${load.name}: to a server that answers`,
        value: ingest.perSecond / answer.perSecond,
        unit: 'ratio',
      },
      {
        name: `${load.name}: CPU per event`,
        value: eventUs,
        unit: 'us',
        ...(load.isGzip ? { goal: { atMost: 10 } } : {}),
      },
      { name: `${load.name}: p99 at half load`, value: half.p99Ms, unit: 'ms', goal: { atMost: 20 } },
      { name: `${load.name}: floor's p99 at its half`, value: floorHalf.p99Ms, unit: 'ms' },
      { name: `${load.name}: p99 to the floor's`, value: half.p99Ms / floorHalf.p99Ms, unit: 'ratio' },
    );
  }
  return figures;
}

async function measure(server: string, load: Load, rate?: number): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const child =
    server === 'ingest'
      ? fork(join(import.meta.dirname, 'ingest-server.ts'), [folder])
      : fork(join(import.meta.dirname, 'floor-server.ts'), [server, join(folder, 'floor.log')]);
  try {
    const { port } = await messageOf<{ port: number }>(child);
    await generate({ port, ...load, durationMs: 1_500 });
    const before = await cpuOf(child);
    const report = await generate({
      port,
      ...load,
      durationMs: DURATION_MS,
      ...(rate === undefined ? {} : { rate }),
    });
    return { ...report, cpuUs: (await cpuOf(child)) - before };
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await rm(folder, { recursive: true });
  }
}

async function generate(order: object): Promise<Omit<Measured, 'cpuUs'>> {
  const file = join(import.meta.dirname, 'generator.ts');
  const { stdout } = await execute(process.execPath, [
    file,
    JSON.stringify({ connections: CONNECTIONS, ...order }),
  ]);
  return JSON.parse(stdout) as Omit<Measured, 'cpuUs'>;
}

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const { cpu } = await messageOf<{ cpu: NodeJS.CpuUsage }>(child);
  return cpu.user + cpu.system;
}

async function messageOf<T>(child: ChildProcess): Promise<T> {
  const [message] = (await once(child, 'message')) as [T];
  return message;
}
