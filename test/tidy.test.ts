import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '../src/config/environment.ts';
import { OPTIONS } from '../src/config/options.ts';
import { ERRORS } from '../src/core/errors.ts';
import { readFiles, type SourceFile } from './source-files.ts';

const sources = [...readFiles('src', '.ts'), ...readFiles('src', '.tsx')];
const tests = readFiles('test', '.ts');
const documents = readFiles('.', '.md');
const code = [...sources, ...tests, ...readFiles('bench', '.ts')];

/** Verdicts that no fixture can hold, with the reason. */
const WITHOUT_FIXTURE: Readonly<Record<string, string>> = {
  ERR_DUPLICATE: 'a drop: fixtures/duplicate',
  ERR_EXPIRED: 'a drop: fixtures/late',
  ERR_SKIPPED: 'a drop, and INTERRUPT is a valid event: fixtures/valid',
  ERR_QUERY_INVALID: 'SQL, not events: test/sinks',
  ERR_QUERY_FORBIDDEN: 'SQL, not events: test/sinks',
  ERR_QUERY_TIMEOUT: 'SQL, not events: test/sinks',
  ERR_QUERY_MEMORY: 'SQL, not events: test/sinks',
};

/** `path:line: text` of each line that a test finds at fault. */
function linesWhere(files: readonly SourceFile[], isAtFault: (line: string) => boolean): readonly string[] {
  return files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, index) => (isAtFault(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

describe('tidy', () => {
  it('keeps functions within 60 lines and 4 parameters, blocks within 4 levels, files within 400 lines', () => {
    const config = join(PACKAGE_ROOT, 'test/tidy.biome.json');
    const biome = join(PACKAGE_ROOT, 'node_modules/@biomejs/biome/bin/biome');
    const flags = [`--config-path=${config}`, '--reporter=github', '--max-diagnostics=200'];
    const run = spawnSync(process.execPath, [biome, 'lint', ...flags, 'src'], {
      cwd: PACKAGE_ROOT,
      encoding: 'utf8',
    });
    const errors = run.stdout.split('\n').filter(line => line.startsWith('::error'));
    assert.deepEqual(errors, []);
    assert.equal(run.status, 0, run.stderr);
  });

  it('keeps lines within 120 columns', () => {
    assert.deepEqual(
      linesWhere(code, line => line.length > 120),
      [],
    );
  });

  it('leaves nothing for later and runs every test', () => {
    // In two parts, or the test would find itself.
    const later = new RegExp(`\\b(?:TO${'DO'}|FIX${'ME'}|X${'XX'}|HA${'CK'})\\b`);
    const alone = new RegExp(`\\b(?:it|test|describe)\\.(?:on${'ly'}|to${'do'})\\(`);
    assert.deepEqual(
      linesWhere([...code, ...documents], line => later.test(line) || alone.test(line)),
      [],
    );
  });

  it('names no place of one machine and no registry', () => {
    const places = new RegExp(
      `(?:^|[\\s'"\`(=])/(?:ro${'ot'}|ho${'me'}|wo${'rk'}|Us${'ers'})/|registry\\.[a-z]+js\\.`,
    );
    const data = [...readFiles('environments', '.yaml'), ...readFiles('bin', ''), ...readFiles('.ci', '')];
    assert.deepEqual(
      linesWhere([...code, ...documents, ...data], line => places.test(line)),
      [],
    );
    const lock = readFileSync(join(PACKAGE_ROOT, 'package-lock.json'), 'utf8');
    assert.doesNotMatch(lock, /"resolved"/, 'the lockfile names a host: npm ci would ask it alone');
  });

  it('gives files names that say something', () => {
    const banned = /(?:^|[/-])(?:utils?|helpers?|manager|misc|data2)\.ts$|\/(?:common|types|index)\.ts$/;
    const lists = new Set(['src/jobs/index.ts', 'src/products/index.ts']);
    const found = code.filter(({ path }) => banned.test(path) && !lists.has(path));
    assert.deepEqual(
      found.map(({ path }) => path),
      [],
    );
    const shape = /^(?:[a-z][a-z0-9]*-)*[a-z0-9]+(?:\.e2e)?(?:\.test)?\.tsx?$/;
    const misshapen = code.filter(({ path }) => !shape.test(path.split('/').at(-1) ?? ''));
    assert.deepEqual(
      misshapen.map(({ path }) => path),
      [],
    );
  });

  it('imports with the suffix, exports by name', () => {
    assert.deepEqual(
      linesWhere(code, line => /\bfrom '\.[^']*(?<!\.tsx?|\.json)';$/.test(line)),
      [],
    );
    assert.deepEqual(
      linesWhere(code, line => /^export default\b|^export \*/.test(line)),
      [],
    );
  });

  it('documents every export', () => {
    const bare = sources.flatMap(({ path, text }) => undocumentedExports(path, text));
    assert.deepEqual(bare, []);
  });

  it('has an example of each verdict on data', () => {
    const folders = new Set(readdirSync(join(PACKAGE_ROOT, 'fixtures/invalid')));
    const verdicts = Object.entries(ERRORS).filter(([, row]) => row.kind === 'invalid');
    const missing = verdicts.filter(([name]) => !folders.has(name) && !Object.hasOwn(WITHOUT_FIXTURE, name));
    assert.deepEqual(
      missing.map(([name]) => name),
      [],
    );
    const surplus = Object.keys(WITHOUT_FIXTURE).filter(
      name => folders.has(name) || !Object.hasOwn(ERRORS, name),
    );
    assert.deepEqual(surplus, []);
    assert.deepEqual(
      [...folders].filter(name => !Object.hasOwn(ERRORS, name)),
      [],
    );
  });

  it('uses each error somewhere', () => {
    const used = sources.filter(({ path }) => path !== 'src/core/errors.ts').map(({ text }) => text);
    const unused = Object.keys(ERRORS).filter(name => !used.some(text => text.includes(`'${name}'`)));
    assert.deepEqual(unused, []);
  });

  it('reads each option somewhere', () => {
    // Declaring it and checking it is not reading it.
    const used = sources.filter(({ path }) => !path.startsWith('src/config/')).map(({ text }) => text);
    const unused = Object.keys(OPTIONS).filter(key => !used.some(text => text.includes(`'${key}'`)));
    assert.deepEqual(unused, []);
  });

  it('has no dead link between its documents', () => {
    const dead = documents.flatMap(({ path, text }) => deadLinks(path, text));
    assert.deepEqual(dead, []);
  });
});

/** Exports without a docstring on the lines before them. */
function undocumentedExports(path: string, text: string): readonly string[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const name = /^export (?:async )?(?:const|function\*?|class|interface|type|let) (\w+)/.exec(line)?.[1];
    if (name === undefined) return [];
    const isDocumented = lines[index - 1]?.endsWith('*/') === true;
    return isDocumented ? [] : [`${path}:${index + 1}: ${name}`];
  });
}

/** Links to files that are not there, and to headings that their file lacks. */
function deadLinks(path: string, text: string): readonly string[] {
  const prose = text.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '');
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(match => match[1] ?? '');
  return targets.flatMap(target => {
    if (/^[a-z]+:/.test(target)) return [];
    const [file = '', heading] = target.split('#');
    const place = file === '' ? join(PACKAGE_ROOT, path) : join(PACKAGE_ROOT, dirname(path), file);
    if (!existsSync(place)) return [`${path}: ${target}`];
    if (heading === undefined) return [];
    return headingsOf(readFileSync(place, 'utf8')).includes(heading) ? [] : [`${path}: ${target}`];
  });
}

function headingsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(match =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
