import { once } from 'node:events';
import { relative } from 'node:path';
import { run } from 'node:test';
import { PACKAGE_ROOT } from '../src/config/environment.ts';
import { readFiles } from './source-files.ts';

/**
 * Runs the tests: all of them, `--unit` only what needs no server (not `*.e2e.test.ts`), or what a name matches: files
 * whose path holds it, else tests whose name does, in files that say it as it stands. Failures and seeds are printed as
 * they come, the last line is `N passed, N failed, N skipped`. Exit 1 on a failure and where no test ran.
 */

/** The part of the runner's report that is used here. */
interface Report {
  readonly file?: string | undefined;
  readonly name: string;
  readonly nesting: number;
  readonly line?: number | undefined;
  readonly skip?: string | boolean | undefined;
  readonly todo?: string | boolean | undefined;
  readonly details: {
    readonly type?: string | undefined;
    readonly duration_ms: number;
    readonly error?: unknown;
  };
}

const OUTPUT_KEPT_MAX = 16_384;

const flags = process.argv.slice(2).filter(arg => arg.startsWith('--'));
const [name] = process.argv.slice(2).filter(arg => !arg.startsWith('--'));
const unknown = flags.filter(flag => flag !== '--unit');
if (unknown.length > 0) {
  process.stderr.write(`test/run.ts takes --unit and a name, not ${unknown.join(' ')}\n`);
  process.exit(2);
}

const candidates = readFiles('test', '.test.ts').filter(
  ({ path }) => !flags.includes('--unit') || !path.endsWith('.e2e.test.ts'),
);
const named = candidates.filter(({ path }) => name === undefined || path.includes(name));
const byName = named.length === 0 && name !== undefined;
// Nothing is started for a file that does not hold the name at all.
const holding = byName
  ? candidates.filter(({ text }) => text.toLowerCase().includes(name.toLowerCase()))
  : named;
if (holding.length === 0) {
  process.stderr.write(`no test file and no test has "${name}" in its name\n`);
  process.exit(1);
}
const chosen = holding.map(({ path }) => path);

// A reader that goes away (`| head`) ends the run.
process.stdout.on('error', () => process.exit(1));

const totals = { passed: 0, failed: 0 };
const skipped: string[] = [];
/** What is known of a file so far; `hasBelow[n]`: a test at depth n was reported since the last one above it. */
interface FileState {
  readonly hasBelow: boolean[];
  output: string;
  failed: boolean;
  counted: boolean;
}
const files = new Map<string, FileState>();

const isTimed = (path: string) => path.endsWith('-timing.e2e.test.ts');
await runFiles(
  chosen.filter(path => !isTimed(path)),
  2,
);
await runFiles(chosen.filter(isTimed), 1);
// A file that cannot be loaded has no summary of its own.
for (const [file, state] of files) printOutput(file, state);
for (const line of skipped) print(`skipped: ${line}`);
print(`${totals.passed} passed, ${totals.failed} failed, ${skipped.length} skipped`);
process.exitCode = totals.failed > 0 || totals.passed + skipped.length === 0 ? 1 : 0;

/** Runs files, so many at once; resolves when all have ended. */
async function runFiles(paths: readonly string[], concurrency: number): Promise<void> {
  // The runner takes no file for all files.
  if (paths.length === 0) return;
  const stream = run({
    cwd: PACKAGE_ROOT,
    files: [...paths],
    concurrency,
    isolation: 'process',
    execArgv: ['--disable-warning=ExperimentalWarning'],
    timeout: 900_000,
    ...(byName ? { testNamePatterns: [new RegExp(name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i')] } : {}),
  });
  stream.on('test:pass', report => settle(report, false));
  stream.on('test:fail', report => settle(report, true));
  stream.on('test:diagnostic', ({ file, message }) => tellSeed(file, message));
  stream.on('test:stdout', ({ file, message }) => {
    tellSeed(file, message);
    keep(file, message);
  });
  stream.on('test:stderr', ({ file, message }) => keep(file, message));
  stream.on('test:summary', ({ file, duration_ms }) => {
    if (file === undefined) return;
    const state = stateOf(file);
    printOutput(file, state);
    if (state.counted)
      print(`${state.failed ? 'FAIL' : 'ok  '} ${pathOf(file)} (${Math.round(duration_ms)} ms)`);
  });
  stream.resume();
  await once(stream, 'end');
}

/** Counts a test that has none below it. Children are reported before their parent. */
function settle(report: Report, hasFailed: boolean): void {
  const file = report.file ?? '';
  const state = stateOf(file);
  const isParent = state.hasBelow[report.nesting + 1] === true;
  state.hasBelow[report.nesting + 1] = false;
  state.hasBelow[report.nesting] = true;
  if (hasFailed) {
    if (isParent && failureType(report.details.error) === 'subtestsFailed') return;
    state.counted = true;
    totals.failed += 1;
    state.failed = true;
    print(
      `FAIL ${pathOf(file)}:${report.line ?? 1} ${report.name}\n${indent(describe(report.details.error))}`,
    );
    return;
  }
  if (isParent) return;
  if (isFile(report, file)) {
    if (byName) return;
    totals.failed += 1;
    print(`FAIL ${pathOf(file)} holds no test`);
    return;
  }
  state.counted = true;
  if (report.skip !== undefined && report.skip !== false) {
    const needs = typeof report.skip === 'string' ? `: ${report.skip}` : '';
    skipped.push(`${pathOf(file)} ${report.name}${needs}`);
  } else if (report.details.type !== 'suite') totals.passed += 1;
}

/** A file without a test is reported as a test of its own name. */
function isFile(report: Report, file: string): boolean {
  return report.nesting === 0 && (report.name === file || report.name === pathOf(file));
}

function failureType(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'failureType' in error
    ? error.failureType
    : undefined;
}

/** The cause says what a test threw; the error around it is the runner's. */
function describe(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}

function stateOf(path: string): FileState {
  const file = pathOf(path);
  const known = files.get(file);
  if (known !== undefined) return known;
  const made: FileState = { hasBelow: [], output: '', failed: false, counted: false };
  files.set(file, made);
  return made;
}

function printOutput(file: string, state: FileState): void {
  if (state.failed && state.output !== '')
    print(`output of ${pathOf(file)}:\n${indent(state.output.trimEnd())}`);
  state.output = '';
}

function keep(file: string | undefined, message: string): void {
  const state = stateOf(file ?? '');
  state.output = (state.output + message).slice(-OUTPUT_KEPT_MAX);
}

/** A random test says its seed, so that also one that passed, or never ends, can be repeated. */
function tellSeed(file: string | undefined, message: string): void {
  const said = /^seed \d.*/m.exec(message);
  if (said !== null) print(`${pathOf(file ?? '')}: ${said[0]}`);
}

function pathOf(file: string): string {
  return file.startsWith(PACKAGE_ROOT) ? relative(PACKAGE_ROOT, file) : file;
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
