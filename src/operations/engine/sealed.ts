import { join } from 'node:path';
import type { Scope } from './operation.ts';
import { type ArtifactName, artifactNamed } from './release.ts';

/** Where an artifact of the running release is sealed: a list of its files with their digests. */
export function artifactFile(name: ArtifactName, { site, release }: Scope): string {
  return join(site.paths.releases, release.id, `${name}.json`);
}

/** Whether an artifact is sealed as it is now. A release is a draft until all five are. */
export async function isSealed(name: ArtifactName, scope: Scope): Promise<boolean> {
  const bytes = await scope.site.host.read(artifactFile(name, scope));
  return bytes !== undefined && Buffer.from(bytes).toString('utf8') === artifactText(name, scope);
}

/** The text that an artifact is sealed with: the same for the same files, so that sealing twice changes nothing. */
export function artifactText(name: ArtifactName, { release }: Scope): string {
  const { digest, files } = artifactNamed(release, name);
  const { id, version, node, schemasDigest } = release;
  const document = {
    release: id,
    releaseDigest: release.digest,
    version,
    node,
    schemasDigest,
    artifact: name,
    digest,
    files,
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}
