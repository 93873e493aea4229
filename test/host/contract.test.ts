import { test } from 'node:test';
import { MemoryHost } from '../../src/adapters/host/memory-host.ts';
import { CONTRACT } from './contract.ts';

for (const [name, check] of Object.entries(CONTRACT)) {
  test(`memory host: ${name}`, async () => {
    const host = new MemoryHost();
    const done = { exitCode: 0, stdout: '', stderr: '' };
    host.commands.set('cat', (_argv, { input = '' }) => ({ ...done, stdout: Buffer.from(input).toString() }));
    host.commands.set('false', () => ({ ...done, exitCode: 1 }));
    await host.makeFolder('/data', { mode: 0o700 });
    await check({ host, folder: '/data', kill: async () => host.kill('sleeper') });
  });
}
