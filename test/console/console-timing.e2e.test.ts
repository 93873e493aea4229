import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { ROOT } from '../e2e/millrace.ts';
import { anEvent, closePage, NEEDS_CHROMIUM, Viewer } from './browser.ts';

const SCRIPT_BYTES_MAX = 100 * 1024;
const FIRST_MS_MAX = 2_000;
const EVENTS_A_SECOND = 5_000;
const LOAD_SECONDS = 6;

/** What the page takes of one's time. Run when nothing else runs: see `test/run.ts`. */
describe('console, timed', { skip: NEEDS_CHROMIUM }, () => {
  let viewer: Viewer;

  before(async () => {
    viewer = await Viewer.create();
  });
  after(async () => {
    await viewer?.[Symbol.asyncDispose]();
  });

  it('can be used within a second of opening, and loads less than 100 KB of script', async () => {
    const { page } = await viewer.open();
    await page.close();
    const [built] = readdirSync(join(ROOT, 'dist/console')).filter(name => !name.startsWith('.'));
    const assets = join(ROOT, 'dist/console', built!, 'assets');
    const scripts = readdirSync(assets).filter(name => name.endsWith('.js'));
    const bytes = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length, 0);
    assert.ok(bytes > 0 && bytes < SCRIPT_BYTES_MAX, `${bytes} bytes of script`);
    const tookMs: number[] = [];
    for (let opening = 0; opening < 3; opening++) {
      const opened = await viewer.open();
      await opened.page.locator('.tile-value').first().waitFor();
      // By the page's own clock, which begins with its opening: the browser's new window is not the page's doing.
      tookMs.push(await opened.page.evaluate(() => performance.now()));
      await closePage(opened);
    }
    const median = tookMs.toSorted((a, b) => a - b)[1]!;
    assert.ok(median < 1000, `usable after ${tookMs.join(', ')} ms`);
  });

  it('shows the first event within 2 s without reload', async () => {
    const { page, troubles } = await viewer.open();
    await page.getByText('Send the first event').waitFor();
    const startedMs = performance.now();
    await viewer.send(anEvent('first'));
    await page.getByText('1 events so far').waitFor();
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < FIRST_MS_MAX, `the first event was seen after ${tookMs} ms`);
    await closePage({ page, troubles });
  });

  it('stays quick with 10,000 rows: few are drawn, scrolling holds nothing up', async () => {
    const sql = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
      SELECT i, i * 7 AS j FROM n`;
    const { page, troubles } = await viewer.open(`#/query?sql=${encodeURIComponent(sql)}`);
    await page.getByText('10,000 rows').waitFor();
    await watchLongTasks(page);
    for (const share of [0.25, 0.5, 1, 0]) {
      await page.locator('.list-frame').evaluate((frame, at) => {
        frame.scrollTop = frame.scrollHeight * at;
      }, share);
      await page.waitForTimeout(150);
    }
    assert.ok((await page.locator('.list-row').count()) < 60);
    await page.locator('.list-frame').focus();
    await page.keyboard.press('End');
    await page.locator('.list-row', { hasText: '70000' }).waitFor();
    assert.deepEqual(await longTasks(page), []);
    await closePage({ page, troubles });
  });

  it('stays responsive while 5,000 events a second flow, and nothing moves', async () => {
    const { page, troubles } = await viewer.open();
    await page.locator('.graph svg').waitFor();
    await page.getByText('Send the first event').waitFor({ state: 'detached' });
    await watchLongTasks(page);
    const placeOf = () =>
      page
        .locator('.columns')
        .first()
        .evaluate(element => element.getBoundingClientRect().top);
    const top = await placeOf();
    const count = EVENTS_A_SECOND * LOAD_SECONDS;
    const pace = ['--rate', String(EVENTS_A_SECOND), '--count', String(count)];
    const sending = viewer.millrace.run(['send', '--sample', ...pace, '--json']);
    await page.waitForFunction(rate => {
      const shown = document.querySelector('.tile-value')?.textContent ?? '';
      return Number(shown.replace('/s', '').replace(',', '')) > rate;
    }, EVENTS_A_SECOND / 2);
    const job = await page.locator('.node.is-job', { hasText: 'validate' }).textContent();
    assert.match(job ?? '', /validate[\d,.]+\/s/);
    assert.equal(JSON.parse((await sending).stdout).refused, 0);
    assert.equal(await placeOf(), top, 'nothing moved');
    const shift = await page.evaluate(() => (globalThis as unknown as { shift: number }).shift);
    assert.ok(shift < 0.02, `layout shift ${shift}`);
    assert.deepEqual(await longTasks(page), []);
    await closePage({ page, troubles });
  });
});

/** From now on, tasks of more than 200 ms and shifts of the layout are noted. */
async function watchLongTasks(page: Page): Promise<void> {
  await page.evaluate(() => {
    const noted = Object.assign(globalThis, { longTasks: [] as number[], shift: 0 });
    new PerformanceObserver(list => {
      for (const { duration } of list.getEntries()) if (duration > 200) noted.longTasks.push(duration);
    }).observe({ type: 'longtask' });
    new PerformanceObserver(list => {
      for (const entry of list.getEntries())
        noted.shift += (entry as PerformanceEntry & { value: number }).value;
    }).observe({ type: 'layout-shift' });
  });
}

function longTasks(page: Page): Promise<readonly number[]> {
  return page.evaluate(() => (globalThis as unknown as { longTasks: number[] }).longTasks);
}
