import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, describe, it } from 'node:test';
import type { RunDocument } from '../../src/core/operation-documents.ts';
import { CommandLine } from './command-line.ts';

const PROTECTED = ['--set', 'operations.protected=on'];
const REDIS = 'Provision/local/DataPipeline/Redis';

describe('a protected environment', () => {
  const line = new CommandLine();
  after(() => line.remove());

  it('is changed by run, undo and uninstall only where its name is typed', async () => {
    for (const name of [[], ['--confirm', 'production']]) {
      const refused = await line.operate([REDIS, ...PROTECTED, ...name]);
      assert.equal(refused.ended.status, 2);
      assert.equal(refused.summary.error?.code, 'ERR_UNCONFIRMED');
    }
    assert.equal(existsSync(line.data), false, 'nothing was touched');
    const done = await line.operate([REDIS, ...PROTECTED, '--confirm', 'local']);
    assert.equal(done.ended.status, 0, done.ended.stdout);
    for (const words of [['undo', REDIS], ['uninstall']]) {
      const refused = await line.run([...words, ...PROTECTED]);
      assert.equal(refused.status, 2, words.join(' '));
      assert.match(refused.stderr, /local: its name was not typed[\s\S]+--confirm local/);
      assert.ok(existsSync(join(line.data, 'local/state')), words.join(' '));
    }
    const plan = await line.run(['undo', REDIS, '--plan', ...PROTECTED]);
    assert.equal(plan.status, 0, 'looking needs no name');
    for (const words of [['undo', REDIS], ['uninstall']]) {
      const ended = await line.run([...words, ...PROTECTED, '--confirm', 'local']);
      assert.equal(ended.status, 0, ended.stderr);
    }
    assert.equal(existsSync(join(line.data, 'local')), false);
  });
});

describe('the webhook at the end of a run', () => {
  const line = new CommandLine();
  after(() => line.remove());

  it('is told once a run how it ended, also that it failed', async () => {
    const told: { text: string; run: RunDocument }[] = [];
    const server = createServer((request, response) => {
      void text(request).then(body => {
        told.push(JSON.parse(body));
        response.end();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const file = join(line.data, '..', 'hook');
    writeFileSync(file, `http://127.0.0.1:${port}/hook/s3cret\n`, { mode: 0o600 });
    const hook = ['--set', `operations.webhook=file:${file}`];
    const good = await line.operate([REDIS, ...hook]);
    assert.equal(good.ended.status, 0, good.ended.stdout);
    assert.equal(told.length, 1);
    assert.equal(told[0]!.run.ok, true);
    assert.deepEqual(told[0]!.run.paths, [REDIS]);
    assert.match(told[0]!.text, /^Millrace local: run .*Redis by .*: \d+ changes applied and verified$/);
    assert.doesNotMatch(good.ended.stdout + good.ended.stderr, /s3cret/);
    server.close();
    server.closeAllConnections();
  });

  it('leaves the run as it is where it cannot be told, and says so without the address', async () => {
    const file = join(line.data, '..', 'hook');
    const before = readFileSync(file, 'utf8');
    const ended = await line.run(['run', REDIS, '--set', `operations.webhook=file:${file}`]);
    assert.equal(ended.status, 0, ended.stderr);
    assert.match(ended.stdout, /webhook was not told: it cannot be reached/);
    assert.doesNotMatch(ended.stdout + ended.stderr, /s3cret/);
    assert.match(before, /s3cret/, 'there was an address to be kept back');
  });
});
