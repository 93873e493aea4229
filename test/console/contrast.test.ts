import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/config/environment.ts';

const css = readFileSync(join(PACKAGE_ROOT, 'src/services/console/styles/tokens.css'), 'utf8');
const [lightText = '', darkText = ''] = css.split(':root[data-theme="dark"]');
const light = tokensOf(lightText);
const dark = { ...light, ...tokensOf(darkText) };

/** Text on its ground, as the styles pair them. */
const PAIRS: readonly (readonly [text: string, ground: string])[] = [
  ...['ink', 'muted', 'accent', 'ok', 'warn', 'bad', 'info'].flatMap(text =>
    ['ground', 'surface', 'raised'].map(ground => [text, ground] as const),
  ),
  ['ink', 'accent-soft'],
  ['accent', 'accent-soft'],
  ['muted', 'accent-soft'],
  ['ink', 'ok-soft'],
  ['ink', 'warn-soft'],
  ['ink', 'bad-soft'],
  ['muted', 'ok-soft'],
  ['muted', 'warn-soft'],
  ['bad', 'bad-soft'],
  ['accent', 'ok-soft'],
  ['accent', 'warn-soft'],
  ['accent', 'bad-soft'],
  ['info', 'ok-soft'],
  ['info', 'warn-soft'],
  ['info', 'bad-soft'],
  ['accent-ink', 'accent'],
  ['surface', 'bad'],
  ['ground', 'ink'],
];

for (const [name, tokens] of [
  ['light', light],
  ['dark', dark],
] as const) {
  test(`${name}: every text reaches 4.5:1 on its ground (WCAG AA)`, () => {
    const low = PAIRS.map(([text, ground]) => ({
      pair: `${text} on ${ground}`,
      ratio: contrast(tokens[text]!, tokens[ground]!),
    })).filter(({ ratio }) => ratio < 4.5);
    assert.deepEqual(low, []);
  });
}

test('the test sees the difference', () => {
  assert.equal(contrast('#000000', '#ffffff'), 21);
  assert.ok(contrast('#777777', '#ffffff') < 4.5);
});

function tokensOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...text.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map(match => [match[1], match[2]]),
  );
}

function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

/** Relative luminance by WCAG 2.1. */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map(at => {
    const share = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
