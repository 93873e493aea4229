import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Page } from 'playwright-core';
import type { OperationsDocument, ReceiptsDocument } from '../../src/core/operation-documents.ts';
import { closePage, NEEDS_CHROMIUM, Viewer } from './browser.ts';

describe('the operations page', { skip: NEEDS_CHROMIUM }, () => {
  let viewer: Viewer;

  before(async () => {
    viewer = await Viewer.create();
  });
  after(async () => {
    await viewer?.[Symbol.asyncDispose]();
  });

  const listed = async () =>
    ((await (await viewer.millrace.fetch('/v1/operations')).json()) as OperationsDocument).operations;
  const receiptsOf = async (path: string) =>
    (
      (await (
        await viewer.millrace.fetch(`/v1/receipts?path=${encodeURIComponent(path)}`)
      ).json()) as ReceiptsDocument
    ).receipts;

  it("lists folders and operations in the documentation's order, with purpose, state and last receipt", async () => {
    const { page, troubles } = await viewer.open('#/operations');
    await page.locator('.operation').first().waitFor();
    const folders = await page.locator('.folder h2').allInnerTexts();
    assert.deepEqual(folders, ['Build', 'OpsAdministration', 'Provision', 'Deploy']);
    const operations = await listed();
    const paths = await rowPaths(page);
    assert.deepEqual(
      paths,
      operations.map(({ path }) => path),
    );
    assert.equal(paths.length, 24);
    for (const { path, title, does, state, missing } of operations) {
      const text = await rowOf(page, path).innerText();
      for (const part of [title, does, state, ...missing]) assert.ok(text.includes(part), `${path}: ${text}`);
      assert.match(text, /(ago|now) by /, path);
    }
    await closePage({ page, troubles });
  });

  it('runs every operation by its button, in that order: each undone one is applied, with a receipt', async () => {
    const { page, troubles } = await viewer.open('#/operations');
    await page.locator('.operation').first().waitFor();
    for (const path of await rowPaths(page)) {
      const undone = undo(path, viewer.millrace.data);
      const before = (await receiptsOf(path)).length;
      await rowOf(page, path).click();
      await page.locator('.operation-path', { hasText: path }).waitFor();
      await runSelected(page);
      const said = await page.locator('.run [role=status]').innerText();
      const receipts = await receiptsOf(path);
      if (undone) {
        assert.match(said, /changes? applied and verified/, path);
        assert.equal(receipts.length, before + 1, path);
        assert.match(receipts[0]!.who, / as operator$/);
        await page.locator(`[data-receipt="${receipts[0]!.id}"]`).waitFor();
      } else {
        assert.match(said, /unchanged/, path);
        assert.ok(receipts.length > 0, path);
      }
      await page.locator('.drawer-title', { hasText: /applied|partial/ }).waitFor();
    }
    await closePage({ page, troubles });
  });

  it('shows drift after a file was changed by hand, plans it as a difference, and mends it', async () => {
    const { page, troubles } = await viewer.open('#/operations?path=Deploy%2Flocal%2FDataPipeline%2FYarn');
    await page.getByText('All is as it should be.').waitFor();
    const jobs = join(viewer.millrace.data, 'local/operations/records/jobs');
    writeFileSync(join(jobs, 'route.json'), JSON.stringify({ release: '0.0.1-000000000000' }));
    await page.getByRole('button', { name: 'Look again' }).click();
    await page.locator('.drawer-title', { hasText: 'drifted' }).waitFor();
    await rowOf(page, 'Deploy/local/DataPipeline/Yarn').getByText('drifted').waitFor();
    await page.getByText('7 of 8 in place, 1 drifted').waitFor();
    await page.locator('.diff-line.is-after').first().waitFor();
    const diff = await page.locator('.plan').innerText();
    assert.match(diff, /job-route.*deploy the job route/);
    assert.match(diff, /−\s+is\s+an earlier version\s+\+\s+will be\s+release 0\.1\.0-[0-9a-f]{12}/);
    await runSelected(page);
    await page.locator('.drawer-title', { hasText: 'applied' }).waitFor();
    const log = await page.locator('.run-log').innerText();
    for (const phase of ['plan', 'apply', 'verify', 'done']) assert.match(log, new RegExp(`\\b${phase}\\b`));
    await closePage({ page, troubles });
  });

  it('follows a run that another page started, and runs everything by one button', async () => {
    const records = join(viewer.millrace.data, 'local/operations/records');
    for (const name of readdirSync(records)) rmSync(join(records, name), { recursive: true });
    const one = await viewer.open('#/operations');
    await one.page.getByRole('button', { name: 'Plan all' }).click();
    await one.page.getByRole('button', { name: 'Run 24 operations' }).click();
    const other = await viewer.open('#/operations?path=all');
    await other.page.locator('.operation').first().waitFor();
    await one.page.locator('[data-do=confirm]').click();
    await one.page.locator('.run-line').first().waitFor();
    await other.page.reload();
    await other.page.locator('.run-log').waitFor();
    for (const { page } of [one, other]) {
      await page.locator('.run').getByText('changes applied and verified').waitFor();
      await page.locator('.lead').getByText('all 24 in place').waitFor();
      const done = await page.locator('.run-line', { hasText: /^\S*\s*done/ }).count();
      assert.equal(done, 24, 'every operation told how it ended');
    }
    await closePage(one);
    await closePage(other);
    const late = await viewer.open('#/operations?path=all');
    await late.page.locator('.run').getByText('changes applied and verified').waitFor();
    await closePage(late);
  });

  it('takes back what nothing that serves uses, after a question, and refuses the rest by name', async () => {
    const path = 'Provision/local/DataPipeline/Yarn';
    const record = join(viewer.millrace.data, 'local/operations/records/Provision-Yarn.json');
    const { page, troubles } = await viewer.open(`#/operations?path=${encodeURIComponent(path)}`);
    await page.getByText('Take it back').click();
    await page.locator('[data-do=undo]').click();
    await page.locator('.confirm', { hasText: 'Take Yarn back?' }).waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.confirm').waitFor({ state: 'detached' });
    assert.ok(existsSync(record) && (await page.locator('.drawer-title').isVisible()));
    await page.locator('[data-do=undo]').click();
    await page.locator('[data-do=confirm]').click();
    await page.locator('.run').getByText('1 change taken back').waitFor();
    await page.locator('.run-line', { hasText: `undone ${path}` }).waitFor();
    await page.locator('.drawer-title', { hasText: 'absent' }).waitFor();
    assert.equal(existsSync(record), false);
    const [last] = await receiptsOf(path);
    assert.deepEqual([last!.verb, last!.outcome], ['undo', 'applied']);
    await page.locator(`[data-receipt="${last!.id}"]`, { hasText: 'taken back, applied' }).waitFor();
    await runSelected(page);
    await page.locator('.drawer-title', { hasText: 'applied' }).waitFor();

    await rowOf(page, 'Provision/local/DataPipeline/Kafka').click();
    await page.getByText('Take it back').click();
    await page.locator('.command', { hasText: 'millrace down && millrace undo Provision/local' }).waitFor();
    assert.equal(await page.locator('[data-do=undo]').count(), 0);
    const refused = await viewer.millrace.fetch('/v1/undo', {
      method: 'POST',
      body: '{"path":"Provision/Kafka"}',
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(refused.status, 503);
    assert.match(await refused.text(), /ERR_UNDO_REFUSED.*uses Provision\/local\/DataPipeline\/Kafka/);
    await closePage({ page, troubles });
  });

  it('is worked from the keyboard alone: found, opened, run, closed, focus back at its row', async () => {
    rmSync(join(viewer.millrace.data, 'local/operations/records/Provision-Kafka.json'));
    const { page, troubles } = await viewer.open();
    await page.locator('main h1').waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('operation kafka');
    await page.getByRole('option', { name: 'Provision Kafka', selected: true }).waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.diff-line').first().waitFor();
    assert.match(page.url(), /#\/operations\?path=Provision%2Flocal%2FDataPipeline%2FKafka$/);
    await tabTo(page, 'run');
    await page.keyboard.press('Enter');
    await page.locator('.confirm').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.confirm').waitFor({ state: 'detached' });
    assert.ok(await page.locator('.drawer-title').isVisible(), 'Escape left the selection open');
    await tabTo(page, 'run');
    await page.keyboard.press('Enter');
    await page.locator('.confirm').waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.run').getByText('1 change applied and verified').waitFor();
    await page.locator('.run-log').focus();
    await page.keyboard.press('Escape');
    await page.locator('.drawer').waitFor({ state: 'detached' });
    const path = await page.evaluate(() => document.activeElement?.getAttribute('data-path'));
    assert.equal(path, 'Provision/local/DataPipeline/Kafka');
    await page.keyboard.press('Enter');
    await page.locator('.drawer-title', { hasText: 'Provide the log' }).waitFor();
    await closePage({ page, troubles });
  });

  it("fits a phone's width: list, selection, question and log, without a scroll to the side", async () => {
    const { page, troubles } = await viewer.open('#/operations', { width: 390, height: 844 });
    const fits = async (what: string) => {
      const width = await page.evaluate(() =>
        Math.max(document.documentElement.scrollWidth, document.querySelector('.drawer')?.scrollWidth ?? 0),
      );
      assert.ok(width <= 390, `${what} is ${width} px wide`);
    };
    await page.locator('.operation').first().waitFor();
    await fits('the list');
    await rowOf(page, 'Provision/local/DataPipeline/Redis').click();
    await page.getByText('Take it back').click();
    await page.getByText("The original's parameters").click();
    await page.locator('.receipt summary').first().click();
    await fits('the selection');
    await page.locator('[data-do=run]').click();
    await fits('the question');
    await page.locator('[data-do=confirm]').click();
    await page.locator('.run [role=status]').getByText('unchanged').waitFor();
    await fits('the log');
    await page.getByRole('button', { name: 'Close' }).click();
    await page.locator('.drawer').waitFor({ state: 'detached' });
    await closePage({ page, troubles });
  });

  it('changes nothing for a browser whose key is gone, and says so in a sentence', async () => {
    const kafka = join(viewer.millrace.data, 'local/operations/records/Provision-Kafka.json');
    rmSync(kafka);
    const { page } = await viewer.open('#/operations?path=Provision%2Flocal%2FDataPipeline%2FKafka');
    await page.locator('.diff-line').first().waitFor();
    const before = (await receiptsOf('Kafka')).length;
    await page.context().clearCookies();
    await page.locator('[data-do=run]').click();
    await page.locator('[data-do=confirm]').click();
    await page.locator('.run .note', { hasText: 'ERR_UNAUTHORIZED' }).waitFor();
    assert.match(await page.locator('.run .note').innerText(), /no token was presented[\s\S]+token/);
    assert.equal(existsSync(kafka), false);
    assert.equal((await receiptsOf('Kafka')).length, before);
    const url = await viewer.millrace.url();
    for (const [method, route] of [
      ['POST', '/v1/run'],
      ['POST', '/v1/undo'],
      ['POST', '/v1/run/cancel'],
      ['GET', '/v1/run/log'],
      ['GET', '/v1/plan'],
      ['GET', '/v1/receipts'],
    ] as const) {
      assert.equal((await fetch(`${url}${route}`, { method })).status, 401, route);
    }
    await page.context().close();
  });
});

describe('the operations page of a protected environment', { skip: NEEDS_CHROMIUM }, () => {
  it('runs only where the name of the environment is typed', async () => {
    await using viewer = await Viewer.create(['operations.protected=on']);
    const record = join(viewer.millrace.data, 'local/operations/records/Provision-Kafka.json');
    rmSync(record);
    const { page, troubles } = await viewer.open(
      '#/operations?path=Provision%2Flocal%2FDataPipeline%2FKafka',
    );
    await page.locator('.diff-line').first().waitFor();
    await page.locator('[data-do=run]').click();
    const start = page.locator('[data-do=confirm]');
    assert.ok(await start.isDisabled());
    await page.keyboard.type('loca');
    assert.ok(await start.isDisabled());
    await page.keyboard.press('Enter');
    assert.equal(existsSync(record), false);
    await page.keyboard.type('l');
    await page.keyboard.press('Enter');
    await page.locator('.run').getByText('1 change applied and verified').waitFor();
    const refused = await viewer.millrace.fetch('/v1/run', {
      method: 'POST',
      body: '{"paths":["Kafka"]}',
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(refused.status, 403);
    await closePage({ page, troubles });
  });
});

function rowPaths(page: Page): Promise<string[]> {
  return page.locator('.operation').evaluateAll(rows => rows.map(row => row.getAttribute('data-path') ?? ''));
}

function rowOf(page: Page, path: string) {
  return page.locator(`.operation[data-path="${path}"]`);
}

/** Presses Run and answers the question; resolves when the run has ended. */
async function runSelected(page: Page): Promise<void> {
  await page.locator('[data-do=run]').click();
  await page.locator('[data-do=confirm]').click();
  await page.locator('.run [role=status]', { hasNotText: 'running' }).waitFor({ timeout: 60_000 });
}

async function tabTo(page: Page, what: string): Promise<void> {
  const TABS_MAX = 60;
  for (let tabs = 0; tabs < TABS_MAX; tabs++) {
    if ((await page.evaluate(() => document.activeElement?.getAttribute('data-do'))) === what) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`${what} is not reached by Tab`);
}

/** Takes away by hand what tells that an operation is done. */
function undo(path: string, data: string): boolean {
  const [folder = '', ...rest] = path.split('/');
  const name = rest.at(-1)!;
  if (folder === 'OpsAdministration') {
    chmodSync(data, 0o755);
    return true;
  }
  if (folder === 'Build') {
    const [release = ''] = readdirSync(join(data, 'releases'));
    rmSync(join(data, 'releases', release, `${name}.json`));
    return true;
  }
  rmSync(join(data, 'local/operations/records', `${folder}-${name}.json`));
  return true;
}
