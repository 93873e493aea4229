import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { isObjectName, openLocalObjects } from '../../src/adapters/objects/local-objects.ts';
import type { ObjectStore } from '../../src/core/ports.ts';
import { scratch } from './setting.ts';

async function openStore(t: TestContext): Promise<{ store: ObjectStore; root: string; outside: string }> {
  const folder = scratch(t);
  const root = path.join(folder, 'archive');
  const outside = path.join(folder, 'outside');
  mkdirSync(outside);
  writeFileSync(path.join(outside, 'secret'), 'secret');
  return { store: await openLocalObjects(root), root, outside };
}

async function namesOf(store: ObjectStore, prefix = ''): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list(prefix)) names.push(name);
  return names;
}

test('an object is created once and never replaced', async t => {
  const { store } = await openStore(t);
  assert.equal(await store.create('a/b/c.zst', Buffer.from('one')), true);
  assert.equal(await store.create('a/b/c.zst', Buffer.from('two')), false);
  assert.equal(Buffer.from(await store.read('a/b/c.zst')).toString(), 'one');
});

test('of many writers of one name exactly one creates it', async t => {
  const { store } = await openStore(t);
  const created = await Promise.all(
    Array.from({ length: 20 }, (_, i) => store.create('x', Buffer.from(`${i}`))),
  );
  assert.equal(created.filter(Boolean).length, 1);
  assert.equal(Buffer.from(await store.read('x')).toString(), String(created.indexOf(true)));
});

test('objects are listed by name and prefix', async t => {
  const { store } = await openStore(t);
  const names = ['a/b', 'a/b-c', 'a/b.d/x', 'a.b/y', 'b/2024/z'].sort();
  for (const name of [...names].reverse()) await store.create(name, Buffer.from(name));
  assert.deepEqual(await namesOf(store), names);
  assert.deepEqual(await namesOf(store, 'a/b'), ['a/b', 'a/b-c', 'a/b.d/x']);
  assert.deepEqual(await namesOf(store, 'b/2024/'), ['b/2024/z']);
  assert.deepEqual(await namesOf(store, '../'), []);
  for await (const { name, sizeBytes } of store.list('')) assert.equal(sizeBytes, name.length);
});

const ESCAPES = [
  '',
  '.',
  '..',
  '../outside/secret',
  'a/../../outside/secret',
  '/etc/passwd',
  'a//b',
  'a/./b',
  'a/',
  '/a',
  'a\0b',
  'a\\..\\b',
  '..%2foutside',
  '.incoming/x',
  'é',
  'a b',
  `${'a'.repeat(201)}`,
  `${'a/'.repeat(20)}a`,
];

test('names that could lead elsewhere are no objects', async t => {
  const { store, outside } = await openStore(t);
  for (const name of ESCAPES) {
    assert.equal(isObjectName(name), false, JSON.stringify(name));
    await assert.rejects(store.read(name), { code: 'ERR_NOT_FOUND' });
    await assert.rejects(store.create(name, Buffer.from('x')), /object name/);
  }
  assert.deepEqual(readdirSync(outside), ['secret']);
});

test('a name that is taken stays below the root', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '.', '/', '\\', '\0', '-', '%') }), name => {
      if (!isObjectName(name)) return;
      const resolved = path.resolve('/base', name);
      assert.ok(resolved.startsWith('/base/') && path.relative('/base', resolved) === name);
    }),
  );
});

test('symbolic links lead nowhere', async t => {
  const { store, root, outside } = await openStore(t);
  symlinkSync(outside, path.join(root, 'linked'));
  mkdirSync(path.join(root, 'real'));
  symlinkSync(path.join(outside, 'secret'), path.join(root, 'real/file'));
  await assert.rejects(store.read('linked/secret'), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(store.read('real/file'), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(store.create('linked/new', Buffer.from('x')), /symbolic link/);
  assert.deepEqual(await namesOf(store), []);
  assert.deepEqual(readdirSync(outside), ['secret']);
});

test('what a crash left half written is gone after the next start', async t => {
  const { root } = await openStore(t);
  writeFileSync(path.join(root, '.incoming/half'), 'half');
  const store = await openLocalObjects(root);
  assert.deepEqual(readdirSync(path.join(root, '.incoming')), []);
  assert.deepEqual(await namesOf(store), []);
});

test('a folder where an object should be is no object', async t => {
  const { store } = await openStore(t);
  await store.create('a/b', Buffer.from('x'));
  await assert.rejects(store.read('a'), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(store.read('a/b/c'), { code: 'ERR_NOT_FOUND' });
});
