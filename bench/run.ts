import { cpus } from 'node:os';
import { type Figure, keepsGoal } from './figure.ts';

/** The benchmarks, by name; each measures its floor in the same run. */
const BENCHMARKS: Readonly<Record<string, () => Promise<{ run: () => Promise<readonly Figure[]> }>>> = {
  ingest: () => import('./ingest.ts'),
  pipeline: () => import('./pipeline.ts'),
  dedup: () => import('./dedup.ts'),
  'dedup-redis': () => import('./dedup-redis.ts'),
  tables: () => import('./tables.ts'),
  'tables-postgres': () => import('./tables-postgres.ts'),
  'pipeline-kafka': () => import('./pipeline-kafka.ts'),
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter(name => BENCHMARKS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(
    `no benchmark named ${unknown.join(', ')}; there are ${Object.keys(BENCHMARKS).join(', ')}\n`,
  );
  process.exit(2);
}
process.stdout.write(
  `Node ${process.version}, ${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown processor'}\n`,
);
for (const [name, load] of Object.entries(BENCHMARKS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  process.stdout.write(`\n${name}\n`);
  const { run } = await load();
  for (const figure of await run()) process.stdout.write(`${lineOf(figure)}\n`);
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
