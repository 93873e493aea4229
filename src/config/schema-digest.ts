import { createHash } from 'node:crypto';

/** A schema file: path from the folder of schemas, and the digest of its text. */
export interface SchemaFile {
  readonly path: string;
  readonly sha256: string;
}

/** Folders of schemas that the jobs load; `own` stands for those that the operator published. */
const LOADED = ['routed/', 'telemetry/3.0/', 'own/'];

/** SHA-256, hex, over the schemas that the jobs load: equal digests judge events the same way. */
export function digestOfSchemas(files: readonly SchemaFile[]): string {
  const lines = files
    .filter(({ path }) => LOADED.some(folder => path.startsWith(folder)))
    .map(({ path, sha256 }) => `${path} ${sha256}\n`)
    .sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}
