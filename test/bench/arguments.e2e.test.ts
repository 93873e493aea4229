import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { ROOT } from '../e2e/millrace.ts';

function bench(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(
    join(ROOT, 'bin/node'),
    [join(ROOT, 'bench/run.ts'), ...words],
    { encoding: 'utf8', timeout: 60_000 },
  );
  return { status, stdout, stderr };
}

test('a word that names no benchmark or no variant is misuse: the choices are named, and nothing runs', () => {
  const variant = bench('pipeline-kafka', '--only', 'WRONG');
  assert.equal(variant.status, 2, variant.stderr);
  assert.match(variant.stderr, /no variant has "WRONG" in its name/);
  assert.match(variant.stderr, /two workers, archive on, tables off/);
  const name = bench('WRONG');
  assert.equal(name.status, 2, name.stderr);
  assert.match(name.stderr, /no benchmark named WRONG; there are ingest, pipeline/);
  for (const { stdout, stderr } of [variant, name]) {
    assert.equal(stdout, '');
    assert.doesNotMatch(stderr, /^ +at /m, 'no stack');
  }
});
