import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingPlatformPackages, readLockfile } from './lockfile.ts';

test('the lockfile holds the packages of every platform; else run: bin/node test/lockfile.ts', () => {
  assert.deepEqual(Object.keys(missingPlatformPackages(readLockfile())), []);
});

test('a lockfile without them is told from a whole one', () => {
  const { packages } = readLockfile();
  const platform = Object.keys(packages).find(path => path.includes('cli-darwin-arm64'))!;
  const { [platform]: _, ...others } = packages;
  assert.deepEqual(Object.keys(missingPlatformPackages({ packages: others })), [platform]);
});

test('the lockfile names no host', () => {
  const resolved = Object.values(readLockfile().packages).filter(entry => entry.resolved !== undefined);
  assert.deepEqual(resolved, []);
});
