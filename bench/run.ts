import { cpus } from 'node:os';
import { type Figure, keepsGoal } from './figure.ts';
import { type BenchOptions, parseBenchArguments } from './options.ts';

interface Benchmark {
  run(options: BenchOptions): Promise<readonly Figure[]>;
  /** It takes minutes or the machine's memory: only by its name. */
  readonly isLong?: boolean;
  /** What `--only` chooses from, by a part of a name. */
  readonly variants?: readonly string[];
}

/** The benchmarks, by name; each measures its floor in the same run. */
const BENCHMARKS: Readonly<Record<string, () => Promise<Benchmark>>> = {
  ingest: () => import('./ingest.ts'),
  pipeline: () => import('./pipeline.ts'),
  dedup: () => import('./dedup.ts'),
  soak: () => import('./soak.ts'),
  'dedup-restart': () => import('./dedup-restart.ts'),
  'dedup-redis': () => import('./dedup-redis.ts'),
  tables: () => import('./tables.ts'),
  'tables-postgres': () => import('./tables-postgres.ts'),
  'pipeline-kafka': () => import('./pipeline-kafka.ts'),
};

const asked = parseBenchArguments(process.argv.slice(2));
if (typeof asked === 'string') misuse(asked);
const { names: wanted, options } = asked;
const unknown = wanted.filter(name => BENCHMARKS[name] === undefined);
if (unknown.length > 0) {
  misuse(`no benchmark named ${unknown.join(', ')}; there are ${Object.keys(BENCHMARKS).join(', ')}`);
}
const benchmarks: [name: string, benchmark: Benchmark][] = [];
for (const [name, load] of Object.entries(BENCHMARKS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const benchmark = await load();
  if (benchmark.isLong !== true || wanted.length > 0) benchmarks.push([name, benchmark]);
}
// Before the first one runs: a wrong word is said at once, not after the minutes of those before it.
for (const [name, { variants }] of benchmarks) {
  const { only } = options;
  if (variants === undefined || only === undefined || variants.some(variant => variant.includes(only)))
    continue;
  misuse(`${name}: no variant has "${only}" in its name; there are:\n  ${variants.join('\n  ')}`);
}
process.stdout.write(
  `Node ${process.version}, ${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown processor'}\n`,
);
for (const [name, { run }] of benchmarks) {
  process.stdout.write(`\n${name}\n`);
  for (const figure of await run(options)) process.stdout.write(`${lineOf(figure)}\n`);
}

function misuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}

function lineOf(figure: Figure): string {
  const { name, value, unit, goal } = figure;
  const digits = value >= 1000 ? 0 : value >= 10 ? 1 : 3;
  const number = value.toLocaleString('en-US', { maximumFractionDigits: digits });
  const kept = keepsGoal(figure);
  const verdict = goal === undefined ? '' : `   ${kept === true ? 'keeps' : 'MISSES'} ${goalText(goal)}`;
  return `  ${name.padEnd(52)} ${number.padStart(12)} ${unit === 'ratio' ? '' : unit}${verdict}`;
}

function goalText(goal: NonNullable<Figure['goal']>): string {
  return 'atLeast' in goal ? `at least ${goal.atLeast}` : `at most ${goal.atMost}`;
}
