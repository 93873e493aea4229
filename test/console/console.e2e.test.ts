import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { Page } from 'playwright-core';
import { anEvent, closePage, NEEDS_CHROMIUM, Viewer } from './browser.ts';

const PLACES = [
  '#/',
  '#/events',
  '#/rejected',
  '#/query',
  '#/health',
  '#/jobs/validate',
  '#/topics/telemetry.failed',
];

describe('console', { skip: NEEDS_CHROMIUM }, () => {
  let viewer: Viewer;

  before(async () => {
    viewer = await Viewer.create();
  });
  after(async () => {
    await viewer?.[Symbol.asyncDispose]();
  });

  it('starts empty, shows the line to paste, and the first event without reload', async () => {
    const { page, troubles } = await viewer.open();
    await page.getByText('Send the first event').waitFor();
    const line = await page.locator('.snippet pre').first().innerText();
    assert.match(line, /^curl http:\/\/127\.0\.0\.1:\d+\/v1\/telemetry /);
    const body = JSON.parse(/-d '(.*)'$/s.exec(line)![1]!) as { events: object[] };
    await viewer.send(...body.events);
    await page.getByText('1 events so far').waitFor();
    assert.equal(await page.getByText('Send the first event').count(), 0);
    await closePage({ page, troubles });
  });

  it('sends samples by a button, and they are found without reload', async () => {
    const { page, troubles } = await viewer.open('#/events');
    await page.locator('.list').waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('sample');
    await page.getByRole('option', { name: 'Send 100 sample events', selected: true }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByText('100 events accepted').waitFor();
    await page.waitForFunction(() => document.querySelectorAll('.list-row').length > 15);
    await closePage({ page, troubles });
  });

  for (const scheme of ['light', 'dark'] as const) {
    it(`shows every page in ${scheme}, without trouble`, async () => {
      for (const place of PLACES) {
        const { page, troubles } = await viewer.open(place, { scheme });
        await page.locator('main h1').waitFor();
        await page.getByText('live', { exact: false }).first().waitFor();
        const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.equal(ground, scheme === 'dark' ? 'rgb(13, 19, 18)' : 'rgb(246, 247, 246)');
        await closePage({ page, troubles });
      }
    });
  }

  it('fits a phone: no page is wider than the screen, every page can be reached', async () => {
    const { page, troubles } = await viewer.open('', { width: 390, height: 844 });
    const fits = async (name: string) => {
      await page.locator('main h1', { hasText: name }).waitFor();
      await page.waitForTimeout(300);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 390, `${name} is ${width} px wide`);
    };
    for (const name of ['Events', 'Rejected', 'Query', 'Health', 'Pipeline']) {
      await page.locator('nav').getByText(name).click();
      await fits(name);
    }
    await page.evaluate(() => {
      location.hash = '#/topics/telemetry.extractor.duplicate';
    });
    await fits('telemetry.extractor.duplicate');
    await closePage({ page, troubles });
  });

  it('finds an event by its id and shows its path beside its JSON; the address leads back', async () => {
    await viewer.send(anEvent('trace-me', { context: { ...context(), did: 'device-traced' } }));
    await viewer.millrace.idle();
    const { page, troubles } = await viewer.open('#/events');
    await page.getByLabel('Device (did)').fill('device-traced');
    await page.keyboard.press('Enter');
    await page.locator('.list-row', { hasText: 'trace-me' }).click();
    await page.locator('.path li', { hasText: 'route' }).waitFor();
    const path = await page.locator('.path').innerText();
    assert.match(path, /ingest accepted/);
    assert.match(path, /denormalise passed\s+no master data of device, user/);
    assert.match(path, /druid\.events\.telemetry 0:\d+/);
    const added = await page.locator('.json-line.is-added', { hasText: '"flags"' }).innerText();
    assert.match(added, /added here/);
    const address = page.url();
    assert.match(address, /#\/events\?did=device-traced&id=/);
    const again = await page.context().newPage();
    await again.goto(address);
    await again.locator('.drawer').getByText('trace-me').first().waitFor();
    await again.waitForFunction(() => document.querySelectorAll('.list-row').length === 1);
    await closePage({ page, troubles });
  });

  it('explains a rejected event: the field, the rule, the line that mends it, its producer', async () => {
    await viewer.send(anEvent('bad-1', { ets: '17' }), anEvent('bad-2', { ets: '18' }));
    await viewer.send(anEvent('bad-3', { context: { ...context(), channel: undefined } }));
    await viewer.millrace.idle();
    const { page, troubles } = await viewer.open('#/rejected');
    const group = page.locator('.group', { hasText: 'ets must be a number, is a string' });
    await group.waitFor();
    assert.match(await group.innerText(), /^2\n/, 'alike ones are one group');
    assert.match(await group.innerText(), /my\.app 2\.4\.1/);
    await group.click();
    await page.locator('.explain').waitFor();
    const explained = await page.locator('.explain').innerText();
    assert.match(explained, /ets must be a number; it is a string\./);
    assert.match(explained, /Send ets as a number\./);
    assert.match(explained, /"ets": 1[78]/);
    assert.match(await page.locator('.json-line.is-fault').innerText(), /"ets": "1[78]".*this field/);
    await page.locator('.group', { hasText: 'context.channel is required' }).click();
    await page.locator('.json-line.is-missing', { hasText: '"channel": is missing here' }).waitFor();
    await closePage({ page, troubles });
  });

  it('names no number of rejections before it has one', async () => {
    const { page, troubles } = await viewer.open('#/health');
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    await page.route('**/v1/query', async route => {
      ask();
      await held;
      await route.continue();
    });
    await page.locator('nav').getByText('Rejected').click();
    await asked;
    assert.equal(await page.locator('main h2').first().innerText(), 'Counting what was rejected');
    assert.equal(await page.locator('main .chart').count(), 0);
    letGo();
    await page.locator('main h2', { hasText: /^[1-9]\d* rejected$/ }).waitFor();
    await page.locator('main .chart').waitFor();
    await closePage({ page, troubles });
  });

  it('shows what events hold as text: nothing in them becomes an element or runs', async () => {
    const evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    await viewer.send(
      anEvent(`evil ${evil}`, { context: { ...context(), did: evil, channel: evil }, tags: [evil] }),
      anEvent('evil-2', { eid: evil }),
      anEvent('evil-3', { [evil]: evil }),
    );
    await viewer.millrace.idle();
    const { page, troubles } = await viewer.open(`#/events?did=${encodeURIComponent(evil)}`);
    await page.locator('.list-row').first().click();
    await page.locator('.drawer .json-line').first().waitFor();
    await page.goto(page.url().replace(/#.*/, '#/rejected'));
    await page.locator('.group', { hasText: 'onerror' }).first().click();
    await page.locator('.explain').waitFor();
    await page.goto(
      page
        .url()
        .replace(
          /#.*/,
          `#/query?sql=${encodeURIComponent(`SELECT '${evil}' AS "${evil.replaceAll('"', '')}"`)}`,
        ),
    );
    await page.locator('.list-row', { hasText: 'onerror' }).waitFor();
    const made = await page.evaluate(() => document.querySelectorAll('#app img, #app script').length);
    assert.equal(made, 0);
    await closePage({ page, troubles });
  });

  it('is worked from the keyboard alone, and shows where the focus is', async () => {
    const { page, troubles } = await viewer.open();
    await page.locator('main h1').waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Skip to the page');
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), 'Pipeline');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('rejected page');
    await page.keyboard.press('Enter');
    await page.locator('main h1', { hasText: 'Rejected' }).waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('events page');
    await page.keyboard.press('Enter');
    await page.locator('.list-row').first().waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('trace-me');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('.list-row').length === 1);
    while ((await page.evaluate(() => document.activeElement?.getAttribute('role'))) !== 'grid') {
      await page.keyboard.press('Tab');
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle);
      assert.notEqual(outline, 'none', 'focus is seen');
    }
    await page.keyboard.press('Enter');
    await page.locator('.drawer .path').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.drawer').waitFor({ state: 'detached' });
    await closePage({ page, troubles });
  });

  it('runs SQL, plots it, and says why a query failed', async () => {
    const { page, troubles } = await viewer.open('#/query');
    await page.getByText('By kind').click();
    await page.locator('.list-row', { hasText: 'IMPRESSION' }).waitFor();
    await page.getByRole('button', { name: 'Plot' }).click();
    await page.locator('.uplot canvas').waitFor();
    await page.locator('textarea').fill('DELETE FROM events');
    await page.keyboard.press('Control+Enter');
    await page.getByText('ERR_QUERY_FORBIDDEN').waitFor();
    assert.match(await page.locator('.note.is-bad').innerText(), /Use one SELECT/);
    await page.getByRole('button', { name: 'CSV' }).waitFor({ state: 'detached' });
    // The browser itself logs answers that are no success.
    await closePage({ page, troubles: troubles.filter(text => !text.includes('403')) });
  });

  it('hands out CSV in which no cell is a formula', async () => {
    const { page, troubles } = await viewer.open(
      `#/query?sql=${encodeURIComponent(`SELECT '=1+1' AS a, '@SUM(1)' AS b`)}`,
    );
    await page.locator('.list-row').waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'CSV' }).click(),
    ]);
    assert.equal(readFileSync((await download.path())!, 'utf8'), `a,b\r\n"'=1+1","'@SUM(1)"\r\n`);
    await closePage({ page, troubles });
  });

  it('reaches nothing outside, has a strict policy, and refuses a foreign origin', async () => {
    const context = await viewer.context();
    const page = await context.newPage();
    const url = await viewer.millrace.url();
    const asked: string[] = [];
    page.on('request', request => asked.push(request.url()));
    const response = await page.goto(`${url}/?token=${await viewer.millrace.token()}`);
    for (const place of PLACES) await page.goto(`${url}/${place}`);
    await page.waitForTimeout(500);
    assert.deepEqual(
      asked.filter(address => !address.startsWith(`${url}/`) && !address.startsWith('blob:')),
      [],
    );
    const policy = response!.headers()['content-security-policy'] ?? '';
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/);
    assert.doesNotMatch(policy, /unsafe/);
    const foreign = await fetch(`${url}/v1/stream`, {
      headers: { origin: 'http://evil.example', authorization: `Bearer ${await viewer.millrace.token()}` },
    });
    assert.equal(foreign.status, 403);
    await context.close();
  });

  it('tells a browser without the key where to find the address', async () => {
    const context = await viewer.context();
    const page = await context.newPage();
    await page.goto(await viewer.millrace.url());
    await page.getByText('bin/millrace status').waitFor();
    await context.close();
    const { stdout } = await viewer.millrace.run(['status']);
    assert.match(stdout, /console\s+http:\/\/127\.0\.0\.1:\d+\/\?token=/);
  });

  it('says so when Millrace stops, and goes on by itself when it is back', async () => {
    const { page } = await viewer.open();
    await page.locator('.tile-value').first().waitFor();
    const { port } = new URL(await viewer.millrace.url());
    await viewer.millrace.stop();
    await page.getByText('Millrace does not answer.').waitFor();
    // The port of `up --port 0` is another one the next time; a page finds the old one again.
    await viewer.millrace.up([], port);
    await page.getByText('Millrace does not answer.').waitFor({ state: 'detached' });
    await page.close();
  });
});

function context(): Readonly<Record<string, unknown>> {
  return anEvent('')['context'] as Readonly<Record<string, unknown>>;
}

function focused(page: Page): Promise<string | null | undefined> {
  return page.evaluate(() => document.activeElement?.textContent);
}
