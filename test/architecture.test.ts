import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '../src/config/environment.ts';
import { COMPOSERS, CONSOLE_PACKAGES, IMPORT_RULES, renderImportRules } from './import-rules.ts';
import { readFiles } from './source-files.ts';

/** A module of `src` with what it imports: paths from the root, `node:x`, or package names. */
interface Module {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
  /** Modules it names in a string, to start them in a thread or a process of their own. */
  readonly starts: readonly string[];
}

const sources = [...readFiles('src', '.ts'), ...readFiles('src', '.tsx')];
const modules = new Map(sources.map(({ path, text }) => [path, readModule(path, text)]));
/** What is started from outside: by the launcher, by the console's page. */
const ENTRIES = ['src/cli/main.ts', 'src/services/console/main.tsx'];
/** Folders with a rule of their own below one that has another. */
const INNER_FOLDERS = IMPORT_RULES.map(({ folder }) => folder).filter(folder => folder.includes('/'));

function readModule(path: string, text: string): Module {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const pattern =
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;
  const imports = [...code.matchAll(pattern)].map(match =>
    resolveFrom(path, match[1] ?? match[2] ?? match[3] ?? ''),
  );
  const starts = [...code.matchAll(/'((?:\.\.?\/)*[a-z/-]+\.ts)'/g)].map(match =>
    resolveFrom(path, `./${match[1]}`),
  );
  return { path, text: code, imports, starts };
}

function resolveFrom(path: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  return posix.normalize(posix.join(posix.dirname(path), specifier));
}

/** The folder whose rule a file keeps: `src/adapters/log/x.ts` → `adapters`. */
function folderOf(path: string): string {
  const inner = INNER_FOLDERS.find(folder => path.startsWith(`src/${folder}/`));
  return inner ?? path.split('/')[1] ?? '';
}

/** What is wrong with an import, or nothing. */
function breaks(from: Module, to: string): string | undefined {
  const rule = IMPORT_RULES.find(({ folder }) => folder === folderOf(from.path));
  if (rule === undefined) return `${from.path}: the folder has no rule`;
  if (!to.startsWith('src/')) {
    if (/^(?:\.|test\/|bench\/)/.test(to)) return `${from.path} imports ${to}, which lies outside src`;
    const kind = to.startsWith('node:') ? 'node' : 'npm';
    const isBundled = rule.folder !== 'services/console' || CONSOLE_PACKAGES.includes(to);
    return rule.outside.includes(kind) && isBundled ? undefined : `${from.path} imports ${to}`;
  }
  if (to.endsWith('.json')) return existsSync(join(PACKAGE_ROOT, to)) ? undefined : `${from.path}: no ${to}`;
  if (!modules.has(to)) return `${from.path} imports ${to}, which is not there`;
  const folder = folderOf(to);
  if (folder === 'adapters' && rule.folder === 'adapters') {
    const isSamePort = to.split('/')[2] === from.path.split('/')[2];
    return isSamePort ? undefined : `${from.path} imports another port's ${to}`;
  }
  if (folder === rule.folder) return undefined;
  if (rule.may.includes(to.slice('src/'.length))) return undefined;
  if (!rule.may.includes(folder)) return `${from.path} imports ${to}`;
  if (folder.startsWith('adapters') && rule.folder === 'cli' && !COMPOSERS.test(from.path))
    return `${from.path} names an implementation, ${to}`;
  return undefined;
}

/** One cycle of imports, as the paths along it. */
function findCycle(): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): readonly string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return undefined;
    for (const to of modules.get(path)?.imports ?? []) {
      const cycle = modules.has(to) ? visit(to, [...trail, path]) : undefined;
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const path of modules.keys()) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

describe('architecture', () => {
  it('looks at every module there is', () => {
    assert.equal(modules.size, sources.length);
    assert.ok(modules.size > 20, `only ${modules.size} modules`);
    // A scanner that goes blind would find nothing wrong: it must see each `from '…'` of each file.
    for (const { path, text } of sources) {
      const named = text.match(/^(?:import|export|\}).*\bfrom '[^']+';$/gm)?.length ?? 0;
      assert.ok((modules.get(path)?.imports.length ?? 0) >= named, `${path}: imports were missed`);
    }
  });

  it('reads each form of import', () => {
    const text = [
      "import { a } from './a.ts';",
      "import type {\n  B,\n} from '../b.ts';",
      "import 'node:fs';",
      "export { c } from 'c';",
      "const d = await import('./d.ts');",
      "// import e from './e.ts';",
      "new Worker(new URL('./f-worker.ts', import.meta.url));",
    ].join('\n');
    const { imports, starts } = readModule('src/x/y.ts', text);
    assert.deepEqual(imports, ['src/x/a.ts', 'src/b.ts', 'node:fs', 'c', 'src/x/d.ts']);
    assert.ok(starts.includes('src/x/f-worker.ts'));
  });

  it('imports only downwards', () => {
    const broken = [...modules.values()].flatMap(from => from.imports.map(to => breaks(from, to)));
    assert.deepEqual(
      broken.filter(text => text !== undefined),
      [],
    );
  });

  it('has no cycle', () => {
    assert.equal(findCycle(), undefined);
  });

  it('has no orphan', () => {
    const used = new Set([...modules.values()].flatMap(from => [...from.imports, ...from.starts]));
    // Memory implementations of ports are for tests: the contracts keep them honest.
    const inTests = readFiles('test', '.ts').flatMap(({ path, text }) => readModule(path, text).imports);
    for (const path of inTests) if (/^src\/adapters\/[a-z]+\/memory-/.test(path)) used.add(path);
    const orphans = [...modules.keys()].filter(path => !ENTRIES.includes(path) && !used.has(path));
    assert.deepEqual(orphans, []);
  });

  it('reads process.env in config alone', () => {
    const readers = [...modules.values()].filter(({ path, text }) => {
      return folderOf(path) !== 'config' && /\bprocess\s*\.\s*env\b|\benv\s*\}\s*=\s*process\b/.test(text);
    });
    assert.deepEqual(
      readers.map(({ path }) => path),
      [],
    );
  });

  it('keeps files, processes and sockets out of the operations', () => {
    const outside = /^node:(?:child_process|fs|net|tls|http|https|dgram|worker_threads|sqlite)\b/;
    const found = [...modules.values()].filter(
      ({ path, imports }) => folderOf(path) === 'operations' && imports.some(name => outside.test(name)),
    );
    assert.deepEqual(
      found.map(({ path }) => path),
      [],
    );
  });

  it('keeps time, chance and waiting out of the jobs', () => {
    const impure =
      /\bawait\b|\basync\b|Date\.now|\bnew Date\(\)|Math\.random|\bperformance\.|\bprocess\.|\bsetTimeout\b/;
    const found = [...modules.values()].filter(
      ({ path, text }) => folderOf(path) === 'jobs' && impure.test(text),
    );
    assert.deepEqual(
      found.map(({ path }) => path),
      [],
    );
  });

  it('has the rules in ARCHITECTURE.md', () => {
    const text = readFileSync(join(PACKAGE_ROOT, 'ARCHITECTURE.md'), 'utf8');
    assert.ok(text.includes(renderImportRules()), `ARCHITECTURE.md must hold:\n${renderImportRules()}`);
  });
});
