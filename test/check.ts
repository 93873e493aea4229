import { spawnSync } from 'node:child_process';
import { PACKAGE_ROOT } from '../src/config/environment.ts';

/** Runs every check in the order of cost and stops at the first that is red; exit 0 when all are green. */

const biome = 'node_modules/@biomejs/biome/bin/biome';

/** Name, and the arguments of Node. */
const CHECKS: readonly (readonly [name: string, ...args: readonly string[]])[] = [
  ['format and lint', biome, 'ci', '--error-on-warnings', '--colors=off', '--max-diagnostics=20'],
  ['types', 'node_modules/typescript/bin/tsc', '-p', '.'],
  ['types of the console', 'node_modules/typescript/bin/tsc', '-p', 'src/services/console'],
  ['architecture', '--test', '--test-reporter=dot', 'test/architecture.test.ts'],
  ['tidy', '--test', '--test-reporter=dot', 'test/tidy.test.ts'],
  ['unit tests', 'test/run.ts', '--unit'],
  ['documents', 'test/docs.ts'],
  ['unused code', 'node_modules/knip/bin/knip.js'],
];

const shells = { cwd: PACKAGE_ROOT, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 } as const;

for (const [name, ...args] of CHECKS) {
  const startMs = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, ...args], shells);
  const isGreen = status === 0;
  process.stdout.write(
    `${isGreen ? 'ok  ' : 'FAIL'} ${name} (${Math.round(performance.now() - startMs)} ms)\n`,
  );
  if (isGreen) continue;
  process.stdout.write(`${stdout}${stderr}`);
  process.exit(1);
}
