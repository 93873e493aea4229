import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import type { ArchiveVerifyDocument } from '../../src/core/documents.ts';
import { scratch } from './setting.ts';

const CHILD = path.join(import.meta.dirname, 'sinks-child.ts');
const RECORDS = 30;
const FAILPOINTS = [
  'archive.beforeIntent',
  'archive.afterIntent',
  'archive.beforeUpload',
  'objects.afterTemp',
  'objects.afterLink',
  'archive.afterUpload',
  'archive.afterRows',
  'archive.afterCommit',
  'tables.beforeTransaction',
  'tables.afterTransaction',
  'tables.afterCommit',
];

interface ChildEnd {
  readonly signal: string | null;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runChild(folder: string, round: number, failpoint: string): Promise<ChildEnd> {
  const child = spawn(process.execPath, [CHILD, folder, String(round), failpoint], { stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', chunk => (stdout += chunk));
  child.stderr.on('data', chunk => (stderr += chunk));
  return new Promise(resolve =>
    child.on('close', (code, signal) => resolve({ signal, code, stdout, stderr })),
  );
}

async function checkWhole(folder: string, rounds: number): Promise<void> {
  const end = await runChild(folder, rounds - 1, '');
  assert.equal(end.code, 0, end.stderr);
  const { verdict, lines }: { verdict: ArchiveVerifyDocument; lines: Record<string, number[]> } = JSON.parse(
    end.stdout,
  );
  assert.equal(verdict.ok, true, end.stdout);
  const expected = Array.from({ length: rounds * RECORDS }, (_, i) => i);
  for (const topic of ['local.druid.events.telemetry', 'local.telemetry.failed']) {
    assert.deepEqual(
      lines[topic]?.toSorted((a, b) => a - b),
      expected,
      topic,
    );
  }
  const database = new DatabaseSync(path.join(folder, 'tables.sqlite'), { readOnly: true });
  for (const relation of ['events', 'failed']) {
    const rows = database.prepare(`SELECT raw ->> '$.i' AS i FROM ${relation} ORDER BY "offset"`).all();
    assert.deepEqual(
      rows.map(row => row['i']),
      expected,
      relation,
    );
  }
  database.close();
}

async function killAt(t: TestContext, failpoints: readonly string[]): Promise<void> {
  const folder = scratch(t);
  for (const [round, failpoint] of failpoints.entries()) {
    const { signal, stderr } = await runChild(folder, round, failpoint);
    assert.equal(signal, 'SIGKILL', `${failpoint} was not reached: ${stderr}`);
  }
  await checkWhole(folder, failpoints.length + 1);
}

for (const failpoint of FAILPOINTS) {
  test(`killed at ${failpoint}, each record is archived and stored once`, t => killAt(t, [failpoint]));
}

test('killed again while it recovers, at every step, each record is archived and stored once', async t => {
  for (const first of ['archive.afterIntent', 'archive.beforeUpload:1', 'archive.afterUpload:2']) {
    await killAt(t, [
      first,
      'objects.afterLink',
      'archive.afterUpload',
      'archive.afterRows',
      'archive.afterCommit:1',
    ]);
  }
});
