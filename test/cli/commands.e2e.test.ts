import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { COMMANDS } from '../../src/cli/command-list.ts';
import { PACKAGE_ROOT } from '../../src/config/environment.ts';

const millrace = join(PACKAGE_ROOT, 'bin/millrace');
const directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
const data = join(directory, 'data');

interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Variables of this process that would change the answer are left out. */
function execute(program: string, args: readonly string[], input = ''): Promise<Answer> {
  const { MILLRACE_URL: _, MILLRACE_TOKEN: __, MILLRACE_ENV: ___, ...env } = process.env;
  const child = spawn(program, args, { cwd: directory, env: { ...env, MILLRACE_DATA: data } });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', text => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', text => (output.stderr += text));
  child.stdin.on('error', () => undefined).end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', status => resolve({ status, ...output }));
  });
}

const run = (args: readonly string[], input?: string) => execute(millrace, args, input);

/** Runs a command with --json, checks its exit code, and gives its document. */
async function document(args: readonly string[], options: { status?: number; input?: string } = {}) {
  const answer = await run([...args, '--json'], options.input);
  assert.equal(answer.status, options.status ?? 0, `${args.join(' ')}: ${answer.stdout}${answer.stderr}`);
  assert.equal(answer.stdout.trim().split('\n').length, 1, answer.stdout);
  return JSON.parse(answer.stdout);
}

async function untilIdle(): Promise<void> {
  for (let look = 0; look < 200; look++) {
    if ((await document(['status'])).idle) return;
    await sleep(50);
  }
  assert.fail('not idle within 200 looks');
}

after(() => rmSync(directory, { recursive: true, force: true }));

describe('command line without a server', () => {
  it('has help with examples for every command', async () => {
    const all = await run([]);
    assert.deepEqual([all.status, all.stderr], [0, '']);
    for (const { path, examples } of COMMANDS) {
      const { status, stdout } = await run([...path.split(' '), '--help']);
      assert.equal(status, 0, path);
      assert.ok(stdout.includes(examples[0] ?? '?'), path);
      assert.ok(all.stdout.includes(`\n  ${path.split(' ')[0]}`), path);
    }
  });

  it('says what is wrong with a call in three lines, exit 2', async () => {
    const wrong: readonly [string, RegExp][] = [
      ['stauts', /unknown command 'stauts' \(did you mean status\?\)\n {2}try: /],
      ['topics tial x', /no command "topics tial" \(did you mean tail\?\)/],
      [
        'topics tail x --cuont 3',
        /unknown option '--cuont' \(did you mean --count\?\)\n {2}try: millrace topics tail --help/,
      ],
      ['topics tail x --count many', /--count must be an integer of 0 to 1000000, is "many"/],
      ['trace', /missing required argument 'mid'/],
      ['status now', /unexpected argument "now"/],
      ['config show --set dedup.ttl=5', /no key dedup\.ttl \(did you mean dedup\.ttlMs\?\)/],
      ['status --set dedup.ttl=5', /no key dedup\.ttl \(did you mean dedup\.ttlMs\?\)/],
      ['status --env locall', /no environments\/locall\.yaml \(did you mean local\?\)/],
      ['status --env ../x', /"\.\.\/x" cannot name an environment/],
      ['send', /give files to send, or --sample/],
      ['send none.json', /none\.json/],
      ['send --sample --count x', /--count must be an integer/],
      ['status --data=', /--data names no folder/],
      ['cache load devices x.jsonl', /no dataset "devices" \(did you mean device\?\)/],
      ['job try validate --input none.jsonl', /none\.jsonl/],
      ['job describe validat', /did you mean validate\?/],
      ['schemas test x', /--events FILE is missing .+\n {2}try: millrace schemas test --help\n/],
    ];
    for (const [call, why] of wrong) {
      const { status, stdout, stderr } = await run(call.split(' '));
      assert.deepEqual([status, stdout], [2, ''], call);
      assert.match(stderr, /^millrace: .+\n {2}why: .+\n {2}try: .+\n$/, call);
      assert.match(stderr, why, call);
    }
  });

  it('says after the help what was asked of a group, or of help, that there is not', async () => {
    for (const [call, why] of [
      ['cache', /why: "cache" is not a command by itself\n {2}try: millrace cache --help\n$/],
      ['help stauts', /why: there is no command "stauts"\n {2}try: millrace --help\n$/],
    ] as const) {
      const { status, stdout, stderr } = await run(call.split(' '));
      assert.deepEqual([status, stdout], [2, ''], call);
      assert.match(stderr, why, call);
    }
  });

  it('uninstalls nothing where there is nothing, and says so', async () => {
    const nowhere = join(directory, 'nowhere');
    const { error } = await document(['uninstall', '--data', nowhere], { status: 1 });
    assert.deepEqual([error.code, existsSync(nowhere)], ['ERR_NOT_FOUND', false]);
    assert.match(error.why, /nowhere does not exist$/);
  });

  it('names what lies where the data directory should be', async () => {
    const file = join(directory, 'a-file');
    writeFileSync(file, '');
    const { error } = await document(['up', '--port', '0', '--data', file], { status: 1 });
    assert.deepEqual([error.code, error.why.includes(file)], ['ERR_PATH_REFUSED', true]);
    assert.match(error.remedy, /--data/);
  });

  it('tells its version as a flag too', async () => {
    assert.equal((await run(['--version'])).stdout, (await run(['version'])).stdout);
    assert.deepEqual(await document(['-V']), await document(['version']));
  });

  it('answers with the error as a document with --json, before or after the command', async () => {
    for (const args of [
      ['--json', 'status'],
      ['status', '--json'],
    ]) {
      const { status, stdout, stderr } = await run(args);
      assert.deepEqual([status, stderr], [1, '']);
      const { error } = JSON.parse(stdout);
      assert.deepEqual(Object.keys(error), ['code', 'message', 'why', 'remedy']);
      assert.equal(error.code, 'ERR_NOT_SERVING');
      assert.match(error.remedy, /millrace up/);
    }
  });

  it('shows the configuration and where it came from', async () => {
    const { config } = await document(['config', '--set', 'dedup.ttlMs=5000']);
    const row = config.find((candidate: { key: string }) => candidate.key === 'dedup.ttlMs');
    assert.deepEqual(row, { key: 'dedup.ttlMs', value: 5000, origin: '--set' });
    assert.equal((await document(['config', 'explain', 'http.port'])).variable, 'MILLRACE_HTTP_PORT');
    assert.equal((await document(['config', 'check'])).ok, true);
    const wrong = [
      '--set',
      'ingest.tokens=env:NO_SUCH_VARIABLE',
      '--set',
      'dedup.ttl=1',
      '--set',
      'http.port=x',
    ];
    const checked = await document(['config', 'check', ...wrong], { status: 1 });
    const whys = (checked.problems as readonly { why: string; remedy: string }[]).map(({ why }) => why);
    assert.equal(checked.ok, false);
    assert.match(
      whys.join('\n'),
      /no key dedup\.ttl \(did you mean dedup\.ttlMs\?\)[\s\S]+http\.port must be/,
    );
    assert.match(whys.at(-1)!, /^ingest\.tokens: the secret env:NO_SUCH_VARIABLE is missing/);
  });

  it('tries jobs on lines of standard input', async () => {
    const { status, stdout } = await run(
      ['job', 'try', 'validate', '--input', '-', '--now', '2024-05-01'],
      '{"eid":"NOPE"}\n',
    );
    assert.equal(status, 0);
    const [first, last] = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    assert.equal(first.code, 'ERR_SCHEMA_NOT_FOUND');
    assert.equal(last.summary.rejected, 1);
  });

  it('ends quietly when its reader goes away', async () => {
    const pipe = `set -o pipefail; "${millrace}" config show --json | head -c 1`;
    const { status, stdout, stderr } = await execute('bash', ['-c', pipe]);
    assert.deepEqual([status, stdout, stderr], [0, '{', '']);
    const help = await execute('bash', [
      '-c',
      `"${millrace}" send --help | true; "${millrace}" nonsense 2>&1 | true`,
    ]);
    assert.deepEqual([help.status, help.stdout, help.stderr], [0, '', '']);
  });

  it('has nothing to stop where nothing serves', async () => {
    assert.deepEqual(await document(['down']), { stopped: false, servers: [] });
  });
});

describe('command line with a server', () => {
  before(async () => {
    const started = await document(['up', '--detach', '--port', '0']);
    assert.match(started.url, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.equal(statSync(join(data, 'local', 'token')).mode & 0o777, 0o600);
    assert.equal(statSync(join(data, 'local-up.log')).mode & 0o777, 0o600);
  });

  after(async () => {
    const serving = JSON.parse(readFileSync(join(data, 'local', 'serving.json'), 'utf8'));
    assert.deepEqual(await document(['down']), { stopped: true, pid: serving.pid, servers: [] });
    assert.equal(existsSync(join(data, 'local', 'serving.json')), false);
    assert.throws(() => process.kill(serving.pid, 0), { code: 'ESRCH' });
    // It was cut by a test below: what came then stands at its begin, behind no hole.
    const said = readFileSync(join(data, 'local-up.log'), 'utf8').slice(0, 4096);
    assert.deepEqual([said.includes('\0'), said.includes('stopping')], [false, true]);
  });

  it('cuts what the detached process says under a cap', { timeout: 60_000 }, async () => {
    const log = join(data, 'local-up.log');
    const capBytes = 16 * 1024 * 1024;
    appendFileSync(log, `${'x'.repeat(1023)}\n`.repeat(17 * 1024));
    while (statSync(log).size > capBytes) await sleep(100);
    const { size, mode } = statSync(`${log}.1`);
    assert.deepEqual([size, mode & 0o777], [capBytes, 0o600]);
  });

  it('sends samples and accounts for each of them', async () => {
    const sent = await document(['send', '--sample', '--count', '105', '--seed', '1']);
    assert.deepEqual(
      [sent.files, sent.batches, sent.events, sent.accepted, sent.refused, sent.results.length],
      [0, 6, 105, 6, 0, 6],
    );
    await untilIdle();
    const { conservation } = await document(['status']);
    const [extract] = conservation;
    assert.deepEqual([extract.job, extract.received, extract.balanced], ['extract', 105, true]);
    assert.match((await run(['status'])).stdout, /^extract +105 +105 +0 +0 +\d+ {2}yes$/m);
  });

  it('lets nobody else read what lies where others may pass', async () => {
    // Others pass the data directory and the environment's folder (0711); what else is a folder stops them (0700).
    const open = [data, join(data, 'local')].flatMap(folder =>
      readdirSync(folder)
        .map(name => join(folder, name))
        .filter(path => (statSync(path).mode & 0o066) !== 0),
    );
    assert.deepEqual(open, []);
    assert.equal(existsSync(join(data, 'local', 'tables.sqlite-wal')), true);
    const { checks } = await document(['doctor']);
    assert.equal(checks.find((check: { id: string }) => check.id === 'rights').ok, true);
  });

  it('sends a file, reports the refused lines, exit 1', async () => {
    const file = join(directory, 'batches.jsonl');
    writeFileSync(file, '{"events":[]}\n\nnot json\n{"events":[{"eid":"NOPE","mid":"m-1"}]}\n');
    const sent = await document(['send', file], { status: 1 });
    assert.deepEqual(
      sent.results.map((result: { line: number; status: number }) => [result.line, result.status]),
      [
        [1, 200],
        [3, 400],
        [4, 200],
      ],
    );
    assert.deepEqual([sent.files, sent.batches, sent.events, sent.accepted, sent.refused], [1, 3, 1, 2, 1]);
    const { status, stdout } = await run(['send', '-'], 'not json');
    assert.equal(status, 1);
    const [refused, remedy, ...sums] = stdout.split('\n');
    assert.match(refused!, /^-:1: 400 ERR_BODY_UNREADABLE: ./);
    assert.equal(remedy, '  try, for ERR_BODY_UNREADABLE: Send UTF-8 JSON.');
    assert.deepEqual(sums, ['1 batch with 0 events sent: 0 accepted, 1 refused', '']);
    const many = (await run(['send', '-'], 'not json\n'.repeat(22))).stdout.split('\n');
    const all = '22 batches with 0 events sent: 0 accepted, 22 refused';
    assert.deepEqual(many.slice(20), ['… and 2 more; --json lists them', remedy, all, '']);
  });

  it('finds a rejected event again: failed, show, trace, query', async () => {
    await untilIdle();
    const { failed } = await document(['failed', '--code', 'ERR_SCHEMA_NOT_FOUND', '--limit', '5']);
    assert.deepEqual([failed.length, failed[0].mid, failed[0].job], [1, 'm-1', 'validate']);
    const shown = await document(['failed', 'show', failed[0].id]);
    assert.equal(shown.event.eid, 'NOPE');
    const traced = await document(['trace', 'm-1']);
    assert.equal(traced.sightings[0].stages.at(-1).code, 'ERR_SCHEMA_NOT_FOUND');
    assert.match((await run(['trace', 'm-1'])).stdout, /ERR_SCHEMA_NOT_FOUND/);
    const { rows } = await document(['query', '-'], { input: "SELECT mid FROM failed WHERE mid = 'm-1'" });
    assert.deepEqual(rows, [{ mid: 'm-1' }]);
    await document(['trace', 'no-such-mid'], { status: 1 });
    assert.match((await run(['trace', 'no-such-mid'])).stderr, /try: Check the mid, and that its batch was/);
    assert.match((await run(['failed', 'show', 'nope'])).stderr, /try: Take the id from: millrace failed\n/);
    await document(['query', 'DELETE FROM events'], { status: 1 });
  });

  it('tails topics: all, the last, the first, what comes', async () => {
    const { topics } = await document(['topics']);
    const ingest = topics.find((topic: { topic: string }) => topic.topic === 'local.telemetry.ingest');
    const tail = async (...flags: string[]) => {
      const { status, stdout, stderr } = await run(['topics', 'tail', 'telemetry.ingest', ...flags]);
      assert.equal(status, 0, stderr);
      return stdout
        .split('\n')
        .filter(line => line !== '')
        .map(line => JSON.parse(line).offset);
    };
    const all = Array.from({ length: ingest.records }, (_, offset) => offset);
    assert.deepEqual(await tail(), all);
    assert.deepEqual(await tail('--count', '2'), all.slice(-2));
    assert.deepEqual(await tail('--count', '2', '--from-start'), all.slice(0, 2));
    const following = tail('--from-start', '--follow', '--count', String(all.length + 1));
    await sleep(500);
    await document(['send', '-'], { input: '{"events":[]}' });
    assert.deepEqual(await following, [...all, all.length]);
    await document(['topics', 'tail', 'no.such.topic'], { status: 2 });
    await document(['topics', 'tail', 'telemetry.ingest', '--partition', '7'], { status: 2 });
  });

  it('produces into an input topic and describes it', async () => {
    const produced = await document(['topics', 'produce', 'telemetry.derived', '--input', '-'], {
      input: '{"eid":"ME_WORKFLOW_SUMMARY"}\nnot json\n',
    });
    assert.deepEqual(produced, { topic: 'telemetry.derived', produced: 2 });
    assert.equal((await document(['topics', 'describe', 'telemetry.derived'])).records, 2);
  });

  it('loads and reads master data, naming a bad line', async () => {
    const input = '{"key":"d-1","value":{"devicespec":"{\\"os\\":\\"A\\"}"}}\n';
    assert.deepEqual(await document(['cache', 'load', 'device', '-'], { input }), {
      dataset: 'device',
      loaded: 1,
    });
    assert.deepEqual(await document(['cache', 'get', 'device', 'd-1']), { devicespec: '{"os":"A"}' });
    await document(['cache', 'get', 'device', 'd-2'], { status: 1 });
    const bad = await document(['cache', 'load', 'device', '-'], { input: `${input}{"key":1}\n`, status: 1 });
    assert.match(bad.error.why, /^-:2 /);
  });

  it('archives, proves and prints', async () => {
    const flushed = await document(['archive', 'flush']);
    for (const row of flushed.topics) assert.equal(row.archivedTo, row.endOffset, row.topic);
    const { ok } = await document(['archive', 'verify']);
    assert.equal(ok, true);
    const { objects } = await document(['archive', 'ls']);
    const mine = objects.filter((row: { topic: string }) => row.topic === 'local.telemetry.failed');
    const { stdout } = await run(['archive', 'cat', ...mine.map((row: { object: string }) => row.object)]);
    assert.ok(stdout.split('\n').some(line => line !== '' && JSON.parse(line).mid === 'm-1'));
    await document(['archive', 'cat', 'no/such/object'], { status: 1 });
  });

  it('lists jobs as the server does', async () => {
    const { jobs } = await document(['job']);
    assert.deepEqual(
      jobs.map((job: { job: string }) => job.job),
      ['extract', 'redact', 'validate', 'dedup', 'flatten', 'denormalise', 'route', 'summarise-route'],
    );
  });

  it('refuses a second server for the same data, and changes nothing for it', async () => {
    // As newer code would find it: its release is not sealed.
    const releases = join(data, 'releases');
    rmSync(releases, { recursive: true });
    const receipts = await document(['receipts']);
    const [log, flags] = [join(data, 'local-up.log'), join(data, 'local-up.json')];
    const said = [readFileSync(log, 'utf8'), readFileSync(flags, 'utf8')];
    for (const more of [[], ['--detach']]) {
      const { error } = await document(['up', '--port', '0', ...more], { status: 1 });
      assert.equal(error.code, 'ERR_OWNED', JSON.stringify(error));
      assert.equal(existsSync(releases), false, 'no release was sealed');
      assert.deepEqual(await document(['receipts']), receipts);
      assert.deepEqual([readFileSync(log, 'utf8'), readFileSync(flags, 'utf8')], said);
    }
  });

  it('says how to look up a mid that no address holds', async () => {
    const { error } = await document(['trace', 'm'.repeat(20_000)], { status: 2 });
    assert.equal(error.code, 'ERR_USAGE');
    assert.match(error.remedy, /first 191 characters, "~" and the SHA-256/);
  });
});
