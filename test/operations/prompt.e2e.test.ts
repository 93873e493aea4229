import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { CommandLine, type Ended } from './command-line.ts';

const REDIS = 'Provision/local/DataPipeline/Redis';
const PROTECTED = ['--set', 'operations.protected=on'];

/** Runs a command on a terminal of its own, types an answer when it is asked, and ends as it does. */
const ON_A_TERMINAL = `
import os, pty, sys
answer, argv = bytes.fromhex(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)
said, is_asked = b'', False
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    said += data
    if not is_asked and b'Type its name' in said:
        is_asked = True
        os.write(terminal, answer)
sys.stdout.buffer.write(said)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
const hasTerminals =
  spawnSync('python3', ['-c', 'import pty, os; os.waitstatus_to_exitcode(0)']).status === 0;
const skip = hasTerminals ? false : 'needs python3 with its module pty, to make a terminal';

describe('the question of a protected environment, on a terminal', { skip, timeout: 120_000 }, () => {
  const line = new CommandLine();
  after(() => line.remove());
  const state = join(line.data, 'local/state');

  const runAnswering = (answer: string): Promise<Ended> => {
    const typed = Buffer.from(answer).toString('hex');
    return line.run(['run', REDIS, ...PROTECTED], { TERM: 'xterm' }, ['python3', '-c', ON_A_TERMINAL, typed]);
  };

  for (const [what, answer, why] of [
    ['another name', 'production\r', /"production" was typed, not "local"/],
    ['nothing', '\r', /"" was typed, not "local"/],
    ['the end of input', '\u0004', /its name was not typed/],
    ['Ctrl-C', '\u0003', /its name was not typed/],
  ] as const) {
    it(`changes nothing for ${what}, and says how to mean it`, async () => {
      const { status, stdout } = await runAnswering(answer);
      assert.match(stdout, /local is protected\. Type its name to go on: /);
      assert.match(stdout, why);
      assert.match(stdout, /--confirm local/);
      assert.equal(status, 2, stdout);
      assert.equal(existsSync(line.data), false);
    });
  }

  it('goes on for the name', async () => {
    const { status, stdout } = await runAnswering('local\r');
    assert.equal(status, 0, stdout);
    assert.match(stdout, /local is protected\. Type its name to go on: /);
    assert.ok(existsSync(state));
  });

  it('is not asked where the name is given, nor where nobody is there to answer', async () => {
    const given = await line.run(['undo', REDIS, ...PROTECTED, '--confirm', 'local'], { TERM: 'xterm' }, [
      'python3',
      '-c',
      ON_A_TERMINAL,
      '',
    ]);
    assert.equal(given.status, 0, given.stdout);
    assert.doesNotMatch(given.stdout, /Type its name/);
    const alone = await line.run(['run', REDIS, ...PROTECTED]);
    assert.deepEqual([alone.status, /Type its name/.test(alone.stderr)], [2, false], alone.stderr);
    assert.match(alone.stderr, /its name was not typed[\s\S]+--confirm local/);
  });
});
