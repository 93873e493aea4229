import { join } from 'node:path';
import { build } from 'vite';
import { PACKAGE_ROOT } from '../config/environment.ts';

// Run as a process of its own by console-build.ts: builds the console into the folder that is named.
await build({
  configFile: false,
  logLevel: 'error',
  root: join(PACKAGE_ROOT, 'src/services/console'),
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: process.argv[2] ?? '',
    emptyOutDir: false,
    target: 'es2023',
    // The page's policy allows no inline script; every browser of the target preloads modules by itself.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
});
