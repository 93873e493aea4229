import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { ROOT } from '../e2e/millrace.ts';
import { anEvent, type Look, Viewer } from './browser.ts';

/** Takes a picture of every page into docs/images, or into the folder that is named: `npm run screenshots`. */

const folder = process.argv[2] ?? join(ROOT, 'docs/images');
const only = process.argv[3];
const SIZE_BYTES_MAX = 150 * 1024;
const PHONE = { width: 390, height: 844 } as const;

/** What is photographed: the page, and what is done on it first. */
const PAGES: readonly (readonly [name: string, place: string, prepare?: (page: Page) => Promise<unknown>])[] =
  [
    ['pipeline', '#/'],
    ['events', '#/events'],
    ['event', '#/events', page => openEvent(page)],
    ['rejected', '#/rejected'],
    ['rejection', '#/rejected', page => page.click('.group:nth-child(2)')],
    ['query', '#/query', page => page.click('text=By kind')],
    ['plot', '#/query', page => page.click('text=By kind').then(() => page.click('text=Plot'))],
    ['health', '#/health'],
    ['operations', '#/operations'],
    ['operation', '#/operations', page => openOperation(page)],
    ['job', '#/jobs/validate'],
    ['topic', '#/topics/druid.events.telemetry'],
    ['palette', '#/', page => page.keyboard.press('Control+k').then(() => page.keyboard.type('den'))],
  ];
/** Pages full of text, which would make large pictures: photographed smaller. */
const DENSE: readonly string[] = ['events', 'event', 'topic', 'operations', 'operation'];
const SMALL = { width: 1200, height: 680 } as const;
const LOOKS: readonly (readonly [name: string, look: Look])[] = [
  ['light', { scheme: 'light' }],
  ['dark', { scheme: 'dark' }],
  ['phone', { ...PHONE, scheme: 'light' }],
];

await mkdir(folder, { recursive: true });
await using viewer = await Viewer.create();
if (only === undefined) await photographFirstRun();
const stopped = new AbortController();
const sending = sendSome(stopped.signal);
await new Promise(resolve => setTimeout(resolve, 3000));
for (const [look, options] of LOOKS) {
  for (const [name, place, prepare] of PAGES) {
    if (only === undefined || only === name) await photograph({ name, look, place, options, prepare });
  }
}
stopped.abort();
await sending;

async function photographFirstRun(): Promise<void> {
  for (const [look, options] of LOOKS) {
    await photograph({ name: 'first-run', look, place: '#/', options, prepare: undefined });
  }
}

async function photograph(shot: {
  readonly name: string;
  readonly look: string;
  readonly place: string;
  readonly options: Look;
  readonly prepare: ((page: Page) => Promise<unknown>) | undefined;
}): Promise<void> {
  const isDense = shot.options.width === undefined && DENSE.includes(shot.name);
  const { page } = await viewer.open(shot.place, isDense ? { ...shot.options, ...SMALL } : shot.options);
  // Charts begin when the page is opened: a line needs some beats.
  await page.waitForTimeout(['pipeline', 'health', 'job'].includes(shot.name) ? 28_000 : 1500);
  await shot.prepare?.(page);
  await page.waitForTimeout(900);
  const path = join(folder, `${shot.name}-${shot.look}.png`);
  await page.screenshot({ path });
  const { size } = await stat(path);
  process.stdout.write(`${path} ${Math.round(size / 1024)} KB${size > SIZE_BYTES_MAX ? ' TOO LARGE' : ''}\n`);
  await page.context().close();
}

/** One that drifted, opened; then run, so that its log is in the picture. */
async function openOperation(page: Page): Promise<void> {
  await rm(join(viewer.millrace.data, 'local/operations/records/jobs/route.json'));
  await page.click('[data-path="Deploy/local/DataPipeline/Yarn"]');
  await page.locator('.diff-line').first().waitFor();
  await page.click('[data-do=run]');
  await page.click('[data-do=confirm]');
  await page.getByText('applied and verified').waitFor();
}

async function openEvent(page: Page): Promise<void> {
  await page.selectOption('select >> nth=0', 'emit');
  await page.waitForTimeout(500);
  await page.click('.list-row >> nth=4');
}

/** Made-up events, some wrong, some sent twice, until the signal. */
async function sendSome(signal: AbortSignal): Promise<void> {
  for (let round = 0; !signal.aborted; round++) {
    await viewer.millrace.fetch(`/v1/sample?count=${20 + ((round * 7) % 30)}`, { method: 'POST' });
    const mid = `wrong-${round}`;
    if (round % 2 === 0) await viewer.send(anEvent(mid, { actor: { id: 'user-7', type: 7 } }));
    if (round % 3 === 0) await viewer.send(anEvent(`${mid}b`, { edata: { type: 'view', uri: '/' } }));
    if (round % 4 === 0) await viewer.send(anEvent(`${mid}c`, { eid: 'IMPRESION' }));
    if (round % 5 === 0) await viewer.send(anEvent(`${mid}d`, { context: { env: 'home' } }));
    if (round % 6 === 0) await viewer.send(anEvent('sent-twice'));
    await new Promise(resolve => setTimeout(resolve, 400));
  }
}
