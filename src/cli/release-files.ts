import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PACKAGE_ROOT, packageVersion } from '../config/environment.ts';
import { digestOfSchemas } from '../config/schema-digest.ts';
import {
  ARTIFACTS,
  type Artifact,
  artifactOf,
  type Release,
  type ReleaseFile,
} from '../operations/engine/release.ts';

/** What the package is made of. The built console is left out: it follows from the sources. */
const PARTS = ['bin', 'schemas', 'src', 'package.json', 'package-lock.json'];

/** Hashes the files that run, about 300 of 2 MB: 25 ms. */
export async function readRelease(): Promise<Release> {
  const paths = (await Promise.all(PARTS.map(filesBelow))).flat().sort();
  const files = await Promise.all(paths.map(hashFile));
  const artifacts = ARTIFACTS.map((name): Artifact => {
    const own = files.filter(({ path }) => artifactOf(path) === name);
    return { name, files: own, digest: digestOf(own.map(({ path, sha256 }) => `${path} ${sha256}`)) };
  });
  const digest = digestOf(artifacts.map(artifact => `${artifact.name} ${artifact.digest}`));
  const version = packageVersion();
  const schemas = files.filter(({ path }) => path.startsWith('schemas/'));
  return {
    id: `${version}-${digest.slice(0, 12)}`,
    version,
    digest,
    artifacts,
    schemasDigest: digestOfSchemas(
      schemas.map(({ path, sha256 }) => ({ path: path.slice('schemas/'.length), sha256 })),
    ),
    node: process.version,
  };
}

async function filesBelow(part: string): Promise<readonly string[]> {
  const place = join(PACKAGE_ROOT, part);
  // A published package has no lock file.
  if (!existsSync(place)) return [];
  if (part.includes('.')) return [part];
  const entries = await readdir(place, { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(PACKAGE_ROOT.length + 1));
}

async function hashFile(path: string): Promise<ReleaseFile> {
  const bytes = await readFile(join(PACKAGE_ROOT, path));
  return { path, sha256: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length };
}

function digestOf(lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}
