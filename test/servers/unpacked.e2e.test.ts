import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Host } from '../../src/core/host.ts';
import { stopServers } from '../../src/operations/provision/servers.ts';
import { bringUpServers, planServers } from './bring-up.ts';
import { serversContext, wanting } from './servers.ts';

/** Where the system has the servers; a host without them unpacks its own. */
const INSTALLED = ['/usr/bin/redis-server', '/usr/lib/postgresql/15/bin/postgres'];

test('servers that the system lacks are unpacked into the cache', { timeout: 600_000 }, async context => {
  const made = await serversContext(wanting('redis', 'postgres'));
  const host: Host = {
    ...made.host,
    stat: async path => (INSTALLED.includes(path) ? undefined : await made.host.stat(path)),
  };
  if ((await host.which('dpkg-deb')) === undefined) return context.skip('needs a Debian system');
  // A cache of its own: what is tested is the download.
  const cacheDirectory = join(made.dataDirectory, 'cache');
  const servers = { ...made, host, cache: cacheDirectory };
  const { answers, servers: running } = await bringUpServers(servers);
  try {
    assert.match(answers.join('\n'), /^Redis 7\.0\.\d+ .*\nPostgreSQL 15\.\d+ /);
    for (const name of ['redis', 'postgres']) {
      const { pid } = await host.process(name);
      const libraries = await readFile(`/proc/${pid}/maps`, 'utf8');
      assert.ok(libraries.includes(`${cacheDirectory}/debian/`), `${name} runs what was unpacked`);
    }
    const plans = await planServers(servers);
    assert.deepEqual(
      plans.flatMap(({ observed }) => observed),
      [],
    );
    const folders = await readdir(join(cacheDirectory, 'debian'));
    assert.deepEqual(
      folders.filter(name => name.endsWith('.new')),
      [],
    );
    const redis = folders.find(name => /^redis-[a-z0-9]+$/.test(name));
    const packages = JSON.parse(
      await readFile(join(cacheDirectory, `debian/${redis}/packages.json`), 'utf8'),
    ) as { file: string; sha256: string }[];
    assert.ok(packages.some(({ file }) => /^redis-server_.*7\.0\./.test(file)));
    assert.ok(packages.every(({ sha256 }) => /^[0-9a-f]{64}$/.test(sha256)));
  } finally {
    await stopServers(host, running);
  }
});
