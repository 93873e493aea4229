import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { Millrace } from '../e2e/millrace.ts';

/** Where Chromium is. */
const CHROMIUM = process.env['MILLRACE_TEST_CHROMIUM'] ?? '/usr/bin/chromium';

/** For `skip` of a test: false where a browser is there, else what is missing. */
export const NEEDS_CHROMIUM: false | string = existsSync(CHROMIUM)
  ? false
  : 'needs Chromium (apt-get install chromium, or MILLRACE_TEST_CHROMIUM)';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** How a page is opened. */
export interface Look {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: 'light' | 'dark';
}

/** A page of the console with what went wrong on it. */
export interface OpenedPage {
  readonly page: Page;
  /** Messages of the console of the browser, errors of scripts, violations of the policy. */
  readonly troubles: string[];
}

/** A served environment and a browser on it. */
export class Viewer implements AsyncDisposable {
  readonly millrace: Millrace;
  readonly #browser: Browser;

  private constructor(millrace: Millrace, browser: Browser) {
    this.millrace = millrace;
    this.#browser = browser;
  }

  static async create(sets: readonly string[] = []): Promise<Viewer> {
    const millrace = await Millrace.create(sets);
    try {
      await millrace.up();
      return new Viewer(millrace, await chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS] }));
    } catch (error) {
      await millrace.remove();
      throw error;
    }
  }

  /** Opens the address that `up` prints, then a place of the console: `#/events`. */
  async open(place = '', look: Look = {}): Promise<OpenedPage> {
    const context = await this.context(look);
    const page = await context.newPage();
    const troubles: string[] = [];
    page.on('console', message => {
      if (message.type() === 'error' || message.type() === 'warning') troubles.push(message.text());
    });
    page.on('pageerror', error => troubles.push(String(error)));
    page.on('dialog', dialog => {
      troubles.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    const url = await this.millrace.url();
    await page.goto(`${url}/?token=${await this.millrace.token()}${place}`);
    return { page, troubles };
  }

  context({ width = 1440, height = 900, scheme = 'light' }: Look = {}): Promise<BrowserContext> {
    return this.#browser.newContext({
      viewport: { width, height },
      colorScheme: scheme,
      timezoneId: 'Asia/Kolkata',
      permissions: ['clipboard-read', 'clipboard-write'],
    });
  }

  /** Posts one batch of events. */
  async send(...events: readonly object[]): Promise<void> {
    const response = await fetch(`${await this.millrace.url()}/v1/telemetry`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ events }),
    });
    if (response.status !== 200) throw new Error(`ingest answered ${response.status}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await this.millrace.remove();
  }
}

/** A valid event; `changes` replace its members. */
export function anEvent(mid: string, changes: object = {}): Readonly<Record<string, unknown>> {
  return {
    eid: 'IMPRESSION',
    mid,
    ver: '3.0',
    ets: Date.now(),
    actor: { id: 'user-7', type: 'User' },
    context: {
      channel: 'channel-1',
      pdata: { id: 'my.app', pid: 'my.app', ver: '2.4.1' },
      env: 'home',
      sid: 'session-1',
      did: 'device-9',
    },
    edata: { type: 'view', pageid: 'home', uri: '/' },
    ...changes,
  };
}

/** Closes what was opened; fails where the browser told of an error, a dialog or a breach of the policy. */
export async function closePage({ page, troubles }: OpenedPage): Promise<void> {
  await page.context().close();
  assert.deepEqual(troubles, []);
}
