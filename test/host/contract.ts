import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Host, ProcessSpec } from '../../src/core/host.ts';

/** What a check of the contract runs on. */
export interface HostSetting {
  readonly host: Host;
  /** An empty folder of the host. */
  readonly folder: string;
  /** Ends a process as a kill -9 from outside does; resolves when it has ended. */
  kill(pid: number): Promise<void>;
}

const TIME = { timeoutMs: 20_000 } as const;
const PRIVATE = { mode: 0o600 } as const;

/** A process that does nothing until it is stopped. */
export function sleeper(folder: string, name = 'sleeper'): ProcessSpec {
  const logFile = join(folder, `${name}.log`);
  return { name, argv: ['sleep', '600'], logFile, stopSignal: 'SIGTERM', stopMsMax: 5_000, digest: 'one' };
}

/** What every host must do. */
export const CONTRACT: Readonly<Record<string, (setting: HostSetting) => Promise<void>>> = {
  'what is put is read back, with its rights': async ({ host, folder }) => {
    const path = join(folder, 'a');
    assert.equal(await host.read(path), undefined);
    assert.equal(await host.stat(path), undefined);
    await host.put(path, 'one', PRIVATE);
    await host.put(path, Buffer.from([0, 255, 10]), { mode: 0o640 });
    assert.deepEqual(Buffer.from((await host.read(path)) ?? []), Buffer.from([0, 255, 10]));
    const { kind, mode, owner, sizeBytes } = (await host.stat(path))!;
    const { user } = await host.facts();
    assert.deepEqual(
      { kind, mode, owner, sizeBytes },
      { kind: 'file', mode: 0o640, owner: user, sizeBytes: 3 },
    );
    assert.equal(
      await host.digest(path),
      createHash('sha256')
        .update(Buffer.from([0, 255, 10]))
        .digest('hex'),
    );
    assert.deepEqual(await host.list(folder), ['a'], 'nothing is left beside it');
  },

  'a file needs its folder': async ({ host, folder }) => {
    await assert.rejects(host.put(join(folder, 'none/a'), 'x', PRIVATE), { code: 'ERR_HOST_COMMAND' });
    await assert.rejects(host.digest(join(folder, 'none')), { code: 'ERR_HOST_COMMAND' });
  },

  'folders come with those above; rights are for the last': async ({ host, folder }) => {
    const path = join(folder, 'x/y');
    await host.makeFolder(path, { mode: 0o700 });
    assert.equal((await host.stat(path))?.kind, 'folder');
    assert.equal((await host.stat(path))?.mode, 0o700);
    await host.makeFolder(path, { mode: 0o711 });
    assert.equal((await host.stat(path))?.mode, 0o711);
    assert.equal((await host.stat(join(folder, 'x')))?.mode, 0o711);
  },

  'lists are sorted, and empty for nothing; removal takes all': async ({ host, folder }) => {
    const path = join(folder, 'list');
    assert.deepEqual(await host.list(path), []);
    await host.remove(path);
    await host.makeFolder(join(path, 'deep'), { mode: 0o700 });
    for (const name of ['b', 'a', 'deep/c']) await host.put(join(path, name), name, PRIVATE);
    assert.deepEqual(await host.list(path), ['a', 'b', 'deep']);
    await host.remove(path);
    assert.equal(await host.stat(join(path, 'deep/c')), undefined);
    assert.deepEqual(await host.list(path), []);
  },

  'a folder takes the place of an empty one, never of a full one': async ({ host, folder }) => {
    const [from, to] = [join(folder, 'from'), join(folder, 'to')];
    await host.makeFolder(from, { mode: 0o700 });
    await host.put(join(from, 'f'), 'new', PRIVATE);
    await host.rename(from, to);
    assert.equal(await host.stat(from), undefined);
    assert.deepEqual(await host.list(to), ['f']);
    await host.makeFolder(from, { mode: 0o700 });
    await assert.rejects(host.rename(from, to), { code: 'ERR_HOST_COMMAND' });
    assert.deepEqual(await host.list(to), ['f']);
  },

  'a command gets its input and says how it ended': async ({ host }) => {
    const lines: string[] = [];
    const onLine = (line: string) => lines.push(line);
    const { exitCode, stdout } = await host.exec(['cat'], { ...TIME, input: 'eins\nzwei\n', onLine });
    assert.deepEqual(
      { exitCode, stdout, lines },
      { exitCode: 0, stdout: 'eins\nzwei\n', lines: ['eins', 'zwei'] },
    );
    assert.equal((await host.exec(['false'], TIME)).exitCode, 1);
    await assert.rejects(host.exec(['no-such-command'], TIME), { code: 'ERR_TOOL_MISSING' });
    assert.ok(await host.which('cat'));
    assert.equal(await host.which('no-such-command'), undefined);
  },

  'what is locked happens one after another': async ({ host, folder }) => {
    const order: string[] = [];
    const gate = Promise.withResolvers<void>();
    const path = join(folder, 'lock');
    const first = host.locked(path, async () => {
      order.push('first begins');
      await gate.promise;
      order.push('first ends');
    });
    const second = host.locked(path, async () => order.push('second'));
    gate.resolve();
    await Promise.all([first, second]);
    assert.deepEqual(order, ['first begins', 'first ends', 'second']);
    await assert.rejects(
      host.locked(path, () => Promise.reject(new Error('failed'))),
      /failed/,
    );
    assert.equal(await host.locked(path, async () => 7), 7, 'a failure lets go of it');
  },

  'who waits for a lock is told once, and may stop waiting': async ({ host, folder }) => {
    const path = join(folder, 'lock');
    const [held, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const first = host.locked(path, async () => {
      held.resolve();
      await gate.promise;
    });
    await held.promise;
    const [waits, stopping] = [Promise.withResolvers<void>(), new AbortController()];
    let told = 0;
    const onWait = () => {
      told += 1;
      waits.resolve();
    };
    const never = () => Promise.reject(new Error('it has no turn'));
    const second = host.locked(path, never, { signal: stopping.signal, onWait });
    await waits.promise;
    stopping.abort();
    await assert.rejects(second, { code: 'ERR_RUN_CANCELLED' });
    gate.resolve();
    await first;
    const { signal } = new AbortController();
    assert.equal(await host.locked(path, async () => 7, { signal, onWait }), 7, 'its turn has come');
    assert.equal(told, 1);
  },

  'a process runs until it is stopped': async ({ host, folder }) => {
    const spec = sleeper(folder);
    assert.equal((await host.process(spec.name)).state, 'stopped');
    const started = await host.start(spec);
    assert.equal(started.state, 'running');
    assert.deepEqual(await host.process(spec.name), started);
    await host.stop(spec.name);
    assert.equal((await host.process(spec.name)).state, 'stopped');
    await host.stop(spec.name);
  },

  'a process of the same name is replaced': async ({ host, folder }) => {
    const first = await host.start(sleeper(folder));
    const second = await host.start({ ...sleeper(folder), digest: 'two' });
    assert.notEqual(second.pid, first.pid);
    assert.deepEqual([first.digest, second.digest], ['one', 'two']);
    await host.stop('sleeper');
  },

  'a process that was killed has failed': async ({ host, folder, kill }) => {
    const { pid } = await host.start(sleeper(folder));
    await kill(pid!);
    const { state, pid: after, detail } = await host.process('sleeper');
    assert.equal(state, 'failed');
    assert.equal(after, null);
    assert.match(detail, /SIGKILL/);
    assert.equal((await host.start(sleeper(folder))).state, 'running');
    await host.stop('sleeper');
  },
};
