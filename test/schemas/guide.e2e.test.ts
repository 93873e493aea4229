import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Millrace, ROOT } from '../e2e/millrace.ts';

/** What a reader types, and what the guide says is printed then. */
interface Step {
  readonly line: number;
  readonly script: string;
  readonly printed: readonly string[];
}

const GUIDE = join(ROOT, 'docs/guides/create-a-schema.md');

describe('the guide to a schema of one’s own, typed as it stands', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-guide-'));
  let millrace: Millrace;

  before(async () => {
    millrace = await Millrace.create();
    await millrace.up();
  });
  after(async () => {
    await millrace?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const steps = stepsOf(readFileSync(GUIDE, 'utf8'));

  it('has steps', () => assert.ok(steps.length >= 10, String(steps.length)));

  for (const step of steps) {
    it(`line ${step.line}: ${step.script.split('\n').at(-1)}`, async () => {
      const said = await type(step.script);
      for (const line of step.printed)
        assert.match(said, patternOf(line), `line ${step.line} prints:\n${said}`);
      await millrace.idle();
    });
  }

  /** Types a block into a shell that knows where the environment is; each command of it must succeed. */
  async function type(script: string): Promise<string> {
    const env = {
      ...process.env,
      PATH: `${join(ROOT, 'bin')}${delimiter}${process.env['PATH']}`,
      MILLRACE_DATA: millrace.data,
    };
    const shell = spawn('sh', ['-e'], { cwd: folder, env, stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [shell.stdout, shell.stderr]) {
      stream.setEncoding('utf8').on('data', text => {
        said += text;
      });
    }
    shell.stdin.end(script);
    await once(shell, 'close');
    assert.equal(shell.exitCode, 0, said);
    return said;
  }
});

/** Each block of commands with the block of output behind it, if there is one. */
function stepsOf(guide: string): readonly Step[] {
  const blocks = [...guide.matchAll(/^```(sh|text)\n(.*?)^```$/gms)];
  return blocks.flatMap(({ 1: kind, 2: script = '', index }, at) => {
    if (kind !== 'sh') return [];
    const next = blocks[at + 1];
    const printed = next?.[1] === 'text' ? next[2]!.trimEnd().split('\n') : [];
    return [{ line: guide.slice(0, index).split('\n').length, script: script.trimEnd(), printed }];
  });
}

/** A line of the guide's output: `…` stands for anything, blanks for blanks. */
function patternOf(line: string): RegExp {
  const parts = line
    .trim()
    .split('…')
    .map(part => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/\s+/g, '\\s+'));
  return new RegExp(parts.join('.*'));
}
