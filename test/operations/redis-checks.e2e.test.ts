import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ChecksDocument } from '../../src/core/operation-documents.ts';
import { startRedis, type TestRedis, withoutRedis } from '../servers/redis.ts';
import { ask } from '../state/open-redis.ts';
import { CommandLine } from './command-line.ts';
import { startUp } from './serving.ts';

describe('first sightings in a Redis of others, the log in files', {
  skip: withoutRedis,
  timeout: 120_000,
}, () => {
  const line = new CommandLine();
  let redis: TestRedis;
  let flags: readonly string[];
  before(async () => {
    redis = await startRedis({ config: { appendonly: 'no' } });
    flags = ['state.adapter=redis', `redis.port=${redis.address.port}`].flatMap(set => ['--set', set]);
  });
  after(async () => {
    await redis?.stop();
    line.remove();
  });

  const doctor = async (id: string, sets = flags) => {
    const ended = await line.run(['doctor', '--json', ...sets]);
    const { checks } = JSON.parse(ended.stdout) as ChecksDocument;
    return checks.filter(check => check.id === id);
  };

  it('are looked at by doctor before anything is served, with what is unwise', async () => {
    const seen = await doctor('redis');
    assert.ok(seen.length > 0);
    for (const { found } of seen) assert.match(found, /^Redis \d\S* on 127\.0\.0\.1/);
    assert.ok(
      seen.some(
        ({ ok, severity, found }) =>
          !ok && severity === 'warn' && /appendonly|append-only|restart/.test(found),
      ),
    );
    assert.equal((await doctor('first-sightings'))[0]?.ok, true);
  });

  it('are synced with each write, or doctor warns; where it may not read that, it says so and is content', async t => {
    const doctorOf = async (config: Readonly<Record<string, string>>) => {
      const other = await startRedis({ config });
      t.after(() => other.stop());
      const port = ['--set', `redis.port=${other.address.port}`];
      return doctor('redis', ['--set', 'state.adapter=redis', ...port]);
    };
    const [lazy] = await doctorOf({ appendfsync: 'everysec' });
    assert.deepEqual([lazy?.ok, lazy?.severity, lazy?.remedy], [false, 'warn', 'Set appendfsync always.']);
    const [unread] = await doctorOf({ 'rename-command': 'CONFIG ""' });
    assert.equal(unread?.ok, true);
    assert.match(unread!.found, /appendfsync could not be read/);
  });

  it('of another log are told by doctor and by up, and are taken for known once the log is there', async () => {
    await ask(redis, ['select', '7'], ['set', 'some-event', '']);
    const [told] = await doctor('first-sightings');
    assert.deepEqual([told?.ok, told?.severity], [false, 'warn']);
    assert.match(told!.found, /the log is new, and Redis holds 1 first sighting already/);
    assert.match(told!.remedy, /redis\.eventDatabase/);
    const serving = await startUp(line, 'local', flags);
    const said = await serving.stop();
    assert.match(said, /warning Redis holds 1 first sighting of another log/);
    assert.equal((await doctor('first-sightings'))[0]?.ok, true);
  });

  it('that cannot be reached are said by name', async () => {
    await redis.kill('SIGKILL');
    const [gone] = await doctor('redis');
    assert.deepEqual([gone?.ok, gone?.severity], [false, 'block'], JSON.stringify(gone));
    const up = await line.run(['up', '--port', '0', ...flags]);
    assert.equal(up.status, 1);
    assert.match(up.stderr, /a store does not answer[\s\S]+Redis/);
  });
});
