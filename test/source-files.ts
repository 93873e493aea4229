import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { PACKAGE_ROOT } from '../src/config/environment.ts';

/** A file of the repository: path from its root with `/`, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Every file under a folder whose name ends in `suffix`, by path; node_modules and dot folders left out. */
export function readFiles(folder: string, suffix: string): readonly SourceFile[] {
  return listFiles(join(PACKAGE_ROOT, folder))
    .filter(path => path.endsWith(suffix))
    .map(path => ({
      path: relative(PACKAGE_ROOT, path).split(sep).join('/'),
      text: readFileSync(path, 'utf8'),
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function listFiles(folder: string): readonly string[] {
  const found: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) found.push(path);
    else if (entry.name !== 'node_modules' && entry.name !== 'data' && !entry.name.startsWith('.')) {
      found.push(...listFiles(path));
    }
  }
  return found;
}
