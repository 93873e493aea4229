import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PACKAGE_ROOT } from '../src/config/environment.ts';
import { renderCliReference, renderConfigurationReference, renderErrorReference } from './reference.ts';

/**
 * Checks that the committed reference is what the code says now; `--write` (npm run docs) writes it. Exit 1
 * where they differ.
 */

const REFERENCES: Readonly<Record<string, () => string>> = {
  'docs/reference/cli.md': renderCliReference,
  'docs/reference/configuration.md': renderConfigurationReference,
  'docs/reference/errors.md': renderErrorReference,
};

const isWriting = process.argv.includes('--write');
for (const [path, render] of Object.entries(REFERENCES)) {
  const place = join(PACKAGE_ROOT, path);
  const text = render();
  if (readCommitted(place) === text) continue;
  if (isWriting) {
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, text);
    process.stdout.write(`wrote ${path}\n`);
  } else {
    process.stdout.write(`${path} is not what the code says; run: npm run docs\n`);
    process.exitCode = 1;
  }
}

function readCommitted(place: string): string | undefined {
  try {
    return readFileSync(place, 'utf8');
  } catch {
    return undefined;
  }
}
