import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Figure, medianOf } from './figure.ts';

const execute = promisify(execFile);
const DURATION_MS = 5_000;
const ROUND_MS = 3_000;
const CONNECTIONS = 32;
const ROUNDS = 5;

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

type Server = 'answer' | 'durable' | 'ingest';

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
 * process of its own, the generator in another, by turns; refused requests are not counted. A figure is the median of
 * the rounds, a ratio that of the ratios within a round: a host's fast moment is no server's.
 */
export async function run(): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const load of LOADS) figures.push(...(await measureLoad(load)));
  return figures;
}

async function measureLoad(load: Load): Promise<readonly Figure[]> {
  const rounds: Record<Server, Measured>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push({
      answer: await measure('answer', load, ROUND_MS),
      durable: await measure('durable', load, ROUND_MS),
      ingest: await measure('ingest', load, ROUND_MS),
    });
  }
  const perSecond = (server: Server) => medianOf(rounds.map(round => round[server].perSecond));
  const ratioTo = (server: Server) =>
    medianOf(rounds.map(round => round.ingest.perSecond / round[server].perSecond));
  const eventUs = medianOf(
    rounds.map(({ ingest }) => ingest.cpuUs / (ingest.accepted * load.eventsPerRequest)),
  );
  const floorHalf = await measure('durable', load, DURATION_MS, perSecond('durable') / 2);
  const half = await measure('ingest', load, DURATION_MS, perSecond('ingest') / 2);
  const goal = load.ratioMin === undefined ? {} : { goal: { atLeast: load.ratioMin } };
  const cpuGoal = load.isGzip ? { goal: { atMost: 10 } } : {};
  const { name } = load;
  return [
    { name: `${name}: requests`, value: perSecond('ingest'), unit: '/s' },
    { name: `${name}: to the durable floor`, value: ratioTo('durable'), unit: 'ratio', ...goal },
    { name: `${name}: to a server that answers`, value: ratioTo('answer'), unit: 'ratio' },
    { name: `${name}: CPU per event`, value: eventUs, unit: 'us', ...cpuGoal },
    { name: `${name}: p99 at half load`, value: half.p99Ms, unit: 'ms', goal: { atMost: 20 } },
    { name: `${name}: floor's p99 at its half`, value: floorHalf.p99Ms, unit: 'ms' },
    { name: `${name}: p99 to the floor's`, value: half.p99Ms / floorHalf.p99Ms, unit: 'ratio' },
  ];
}

async function measure(server: Server, load: Load, durationMs: number, rate?: number): Promise<Measured> {
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
      durationMs,
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
