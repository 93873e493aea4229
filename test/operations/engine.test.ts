import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { takeOwnership } from '../../src/adapters/log/owner-lock.ts';
import { openReceiptFile } from '../../src/adapters/receipts/receipt-file.ts';
import { composeSite } from '../../src/cli/compose-site.ts';
import { readSettings } from '../../src/config/environment.ts';
import { loadConfig } from '../../src/config/load.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { OperationState, RunEvent } from '../../src/core/operation-documents.ts';
import { surveyAll } from '../../src/operations/engine/inspect.ts';
import { defineUnit, type Operation, type Scope } from '../../src/operations/engine/operation.ts';
import { makePlan } from '../../src/operations/engine/plan.ts';
import { type RunDeps, runPlan } from '../../src/operations/engine/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-engine-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What operations of a test have changed, and what they were asked. */
class World {
  readonly done = new Set<string>();
  readonly broken = new Set<string>();
  readonly events: RunEvent[] = [];
  readonly cancelled = new AbortController();
  readonly scope: Scope;
  readonly deps: RunDeps;

  constructor(name: string, operations: (world: World) => readonly Operation[]) {
    const settings = readSettings({ data: join(folder, name) }, {});
    const { config } = loadConfig(settings);
    const site = composeSite(settings, config, () => undefined);
    mkdirSync(join(site.paths.operations, 'unfinished'), { recursive: true });
    const release = {
      id: 'r',
      version: '0',
      digest: 'd',
      artifacts: [],
      schemasDigest: 's',
      node: process.version,
    };
    this.scope = { environment: 'local', config, release, site, jobs: [], removesData: false };
    let lastId = 0;
    this.deps = {
      operations: operations(this),
      scope: this.scope,
      receipts: openReceiptFile(join(site.paths.operations, 'receipts.jsonl')),
      configDigest: 'c',
      who: 'tester',
      hostName: 'here',
      signal: this.cancelled.signal,
      nowMs: Date.now,
      newId: () => String(++lastId),
      emit: event => this.events.push(event),
    };
  }

  /** An operation of two steps; `broken` makes its second one, or its verification, fail. */
  operation(name: string, needs: readonly string[] = []): Operation {
    const step = (step: string) => ({
      step,
      what: `make ${name} ${step}`,
      before: null,
      after: 'there',
      apply: async () => {
        if (this.broken.has(`${name}.${step}`)) throw new MillraceError('ERR_HOST_COMMAND', `${name} broke`);
        this.done.add(`${name}.${step}`);
      },
    });
    const unit = defineUnit<readonly string[]>({
      observe: async () => ['first', 'second'].filter(part => this.done.has(`${name}.${part}`)),
      exists: observed => observed.length > 0,
      plan: observed => ['first', 'second'].filter(part => !observed.includes(part)).map(step),
      report: observed => ({ parts: observed }),
      verify: async () => {
        if (this.broken.has(`${name}.verify`))
          throw new MillraceError('ERR_VERIFY_FAILED', `${name} is dead`);
        return { works: true };
      },
    });
    return {
      folder: 'Provision',
      name,
      title: name,
      does: `${name}.`,
      needs: needs.map(need => `Provision/${need}`),
      parameters: [],
      target: () => 'embedded',
      units: { embedded: unit },
    };
  }

  async run(names?: readonly string[], only = false) {
    const { operations } = this.deps;
    const chosen = operations.filter(({ name }) => names === undefined || names.includes(name));
    const plan = await makePlan({ paths: [], operations: chosen, only }, operations, this.scope);
    return runPlan(plan, this.deps);
  }

  ended(outcome: string): readonly string[] {
    const done = this.events.filter(event => event.phase === 'done' && event.outcome === outcome);
    return done.map(({ operation }) => operation.split('/').at(-1) ?? '').sort();
  }
}

describe('the engine', () => {
  it('works levels off in order, what is needed first', async () => {
    const world = new World('order', w => [
      w.operation('C', ['B']),
      w.operation('B', ['A']),
      w.operation('A'),
    ]);
    const { ok, changes } = await world.run(['C']);
    assert.deepEqual([ok, changes], [true, 6]);
    assert.deepEqual(
      [...world.done].map(text => text[0]),
      ['A', 'A', 'B', 'B', 'C', 'C'],
    );
    assert.equal((await world.run()).changes, 0);
  });

  it('starts no dependant of what failed, lets siblings finish, and goes on there the next time', async () => {
    const world = new World('failing', w => [w.operation('A'), w.operation('B'), w.operation('C', ['A'])]);
    world.broken.add('A.second');
    const failed = await world.run();
    assert.deepEqual([failed.ok, failed.error?.code], [false, 'ERR_HOST_COMMAND']);
    assert.deepEqual([world.ended('failed'), world.ended('applied')], [['A'], ['B']]);
    assert.deepEqual(failed.receipts.map(({ outcome }) => outcome).sort(), ['applied', 'failed']);
    // Of what failed only what was made by then was changed.
    const half = failed.receipts.find(({ outcome }) => outcome === 'failed');
    assert.deepEqual([half?.changes.map(({ step }) => step), failed.changes], [['first'], 3]);
    const plan = await makePlan(
      { paths: [], operations: world.deps.operations, only: false },
      world.deps.operations,
      world.scope,
    );
    assert.deepEqual(
      plan.levels.flat().map(({ operation, state }) => [operation.name, state]),
      [
        ['A', 'failed'],
        ['B', 'applied'],
        ['C', 'absent'],
      ],
    );
    world.broken.clear();
    const mended = await world.run();
    assert.deepEqual([mended.ok, mended.changes], [true, 3]);
  });

  it('says that what serves goes on with another release until it is restarted', async () => {
    const world = new World('served', w => [
      w.operation('A'),
      {
        ...w.operation('B'),
        units: { embedded: { ...w.operation('B').units.embedded!, isServed: true } },
      },
    ]);
    const served = {
      url: 'http://here',
      components: [],
      workers: [],
      schemas: { digest: 's', shippedDigest: 's' },
      releaseDigest: 'older',
      releaseId: '0-older',
    };
    const said = async (releaseDigest: string) => {
      world.events.length = 0;
      Object.assign(world.scope.site, { served: async () => ({ ...served, releaseDigest }) });
      const { receipts } = await world.run();
      const done = world.events.filter(({ phase }) => phase === 'done').map(({ message }) => message);
      return { done: done.sort(), observed: receipts.map(({ observed }) => observed['stillServed'] ?? null) };
    };
    const remedy = 'millrace restart Deploy/Yarn --env local';
    const until = `; http://here runs release 0-older until it is restarted: ${remedy}`;
    const [a, b] = ['Provision/local/DataPipeline/A', 'Provision/local/DataPipeline/B'];
    const first = await said('older');
    assert.deepEqual(first.done, [`applied ${a}`, `applied ${b}${until}`]);
    const other = { servedBy: 'http://here', release: '0-older', remedy };
    assert.deepEqual(
      first.observed.filter(one => one !== null),
      [other],
    );
    assert.deepEqual((await said('older')).done, [`unchanged ${a}`, `unchanged ${b}${until}`]);
    assert.deepEqual((await said('d')).done, [`unchanged ${a}`, `unchanged ${b}`]);
  });

  it('verifies again what was changed and not seen working, although nothing is left to change', async () => {
    const world = new World('unverified', w => [w.operation('A')]);
    world.broken.add('A.verify');
    assert.equal((await world.run()).error?.code, 'ERR_VERIFY_FAILED');
    const again = await world.run();
    assert.deepEqual([again.ok, again.changes, again.receipts[0]?.outcome], [false, 0, 'failed']);
    world.broken.clear();
    const verified = await world.run();
    assert.deepEqual([verified.ok, verified.receipts[0]?.changes[0]?.step], [true, 'verify']);
    assert.equal((await world.run()).changes, 0);
  });

  it('takes a mark that was damaged for that of a run that did not end', async () => {
    const world = new World('damaged', w => [w.operation('A')]);
    await world.run();
    writeFileSync(join(world.scope.site.paths.operations, 'unfinished/Provision-A.json'), '{"startedA');
    const { receipts } = await world.run();
    assert.deepEqual(
      receipts.map(({ changes }) => changes.map(({ step }) => step)),
      [['verify']],
    );
    assert.equal((await world.run()).changes, 0);
  });

  it('tells an operation that a run is at work on as it looks, not as one that failed', async () => {
    const world = new World('underway', w => [w.operation('A')]);
    const { operations } = world.deps;
    const states = async () => (await surveyAll(operations, world.scope)).map(({ state }) => state);
    const seen: OperationState[] = [];
    const [operation] = operations;
    const unit = operation!.units.embedded!;
    const verify = async () => {
      seen.push(...(await states()));
      return {};
    };
    const looking = { ...unit, verify };
    Object.assign(operation!.units, { embedded: looking });
    const { operations: folder } = world.scope.site.paths;
    const lock = await takeOwnership(folder, 'run');
    await world.run();
    lock.release();
    assert.deepEqual([seen, await states()], [['applied'], ['applied']]);
    // One that was cut off before that run began has failed all the same.
    const mark = { startedAtMs: 1, run: 'earlier', error: null };
    writeFileSync(join(folder, 'unfinished/Provision-A.json'), JSON.stringify(mark));
    const other = await takeOwnership(folder, 'run');
    const during = await states();
    other.release();
    assert.deepEqual([during, await states()], [['failed'], ['failed']]);
  });

  it('tells a full disk as what it is, and never as a bug of ours', async () => {
    const world = new World('full', w => [w.operation('A')]);
    const full = Object.assign(new Error('ENOSPC: no space left on device'), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    const unit = world.deps.operations[0]!.units.embedded!;
    Object.assign(world.deps.operations[0]!.units, {
      embedded: { ...unit, verify: () => Promise.reject(full) },
    });
    assert.equal((await world.run()).error?.code, 'ERR_DISK_FULL');
  });

  it('5: looks on whether what it started keeps running, and fails what does not, with its last words', async () => {
    const ends = ['sleep 600', 'sleep 0.2; echo "no memory left"; exit 3'];
    const outcomes = [];
    for (const [index, script] of ends.entries()) {
      const world: World = new World(`watched-${index}`, w => [startingOperation(w, script)]);
      Object.assign(world.scope, { config: { ...world.scope.config, 'operations.watchMs': 3000 } });
      const startMs = performance.now();
      const { ok, error } = await world.run();
      outcomes.push({ ok, code: error?.code, isWatched: performance.now() - startMs >= 3000 });
      if (index === 1) {
        assert.match(error?.why ?? '', /server came up and ended: .*3.*no memory left/s);
        assert.deepEqual([world.ended('applied'), world.ended('failed')], [['S'], ['S']]);
        const [seen] = await surveyAll(world.deps.operations, world.scope);
        assert.equal(seen?.state, 'failed');
      }
      await world.scope.site.host.stop('server');
    }
    assert.deepEqual(outcomes, [
      { ok: true, code: undefined, isWatched: true },
      { ok: false, code: 'ERR_VERIFY_FAILED', isWatched: false },
    ]);
  });

  it('fails an operation whose steps did not bring about what they promised', async () => {
    const world = new World('lying', w => {
      const lying = w.operation('A');
      const unit = defineUnit<null>({
        observe: async () => null,
        exists: () => false,
        plan: () => [
          { step: 's', what: 'pretend', before: null, after: 'there', apply: async () => undefined },
        ],
        report: () => ({}),
        verify: async () => ({}),
      });
      return [{ ...lying, units: { embedded: unit } }];
    });
    const { error } = await world.run();
    assert.deepEqual(
      [error?.code, /s: absent, not there/.test(error?.why ?? '')],
      ['ERR_VERIFY_FAILED', true],
    );
  });

  it('ends a cancelled run before its next step, and says so', async () => {
    const world = new World('cancelled', w => [w.operation('A')]);
    const first = world.deps.emit;
    Object.assign(world.deps, {
      emit: (event: RunEvent) => {
        first(event);
        if (event.phase === 'apply') world.cancelled.abort();
      },
    });
    assert.equal((await world.run()).error?.code, 'ERR_RUN_CANCELLED');
    assert.deepEqual([...world.done], ['A.first']);
  });

  it('refuses with only what its needs are not in place for, and a target that it has nothing for', async () => {
    const world = new World('refused', w => [
      w.operation('A'),
      w.operation('B', ['A']),
      { ...w.operation('H'), target: () => 'host' as const },
    ]);
    await assert.rejects(world.run(['B'], true), { code: 'ERR_NEEDS_UNMET' });
    assert.equal((await world.run(['H'])).error?.code, 'ERR_OPERATION_TARGET');
  });

  it('writes receipts that end at the same time one after another', async () => {
    const names = Array.from({ length: 24 }, (_, index) => `N${index}`);
    const world = new World('many', w => names.map(name => w.operation(name)));
    await world.run();
    const { entries, intact } = await world.deps.receipts.read();
    assert.deepEqual([entries.length, intact], [25, true]);
  });

  it('reads the receipts past lines that somebody damaged, and says that they are not intact', async () => {
    const world = new World('receipts', w => [w.operation('A')]);
    await world.run();
    const file = join(world.scope.site.paths.operations, 'receipts.jsonl');
    for (const damaged of ['7', 'null', '{}', '{"previous":"","entry":null}', '{"previous":"","en']) {
      writeFileSync(file, `${damaged}\n${readFileSync(file, 'utf8')}`);
    }
    const { entries, intact } = await world.deps.receipts.read();
    assert.deepEqual([entries.map(({ kind }) => kind), intact], [['receipt', 'run'], false]);
  });
});

/** An operation whose one step starts a process. */
function startingOperation(world: World, script: string): Operation {
  let isStarted = false;
  const apply = async () => {
    const { host, paths } = world.scope.site;
    await host.start({
      name: 'server',
      argv: ['sh', '-c', script],
      logFile: join(paths.root, 'server.log'),
      stopSignal: 'SIGTERM',
      stopMsMax: 5000,
      digest: '',
    });
    isStarted = true;
  };
  const step = { step: 'start', what: 'start it', before: null, after: 'running', apply };
  const unit = defineUnit<boolean>({
    observe: async () => isStarted,
    exists: observed => observed,
    plan: observed => (observed ? [] : [step]),
    report: () => ({}),
    processes: () => ['server'],
    verify: async () => ({}),
  });
  return { ...world.operation('S'), units: { embedded: unit } };
}
