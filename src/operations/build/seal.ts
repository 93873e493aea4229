import { join } from 'node:path';
import { expectThat } from '../engine/expect.ts';
import { defineUnit, type Operation, type Scope } from '../engine/operation.ts';
import { BUILD_PARAMETERS } from '../engine/parameters.ts';
import { type ArtifactName, artifactNamed } from '../engine/release.ts';
import { artifactFile, artifactText } from '../engine/sealed.ts';

/** What a Build operation is made of. */
export interface SealSpec {
  readonly name: ArtifactName;
  readonly title: string;
  readonly does: string;
  readonly missing?: (scope: Scope) => readonly string[];
}

/**
 * A Build operation: seals one artifact of the running release. Nothing is compiled, because sources are what runs;
 * what was hashed is written down, and a release whose five artifacts are all there is no longer a draft.
 */
export function sealOperation({ name, title, does, missing }: SealSpec): Operation {
  const unit = defineUnit<string | null>({
    async observe(scope) {
      const bytes = await scope.site.host.read(artifactFile(name, scope));
      return bytes === undefined ? null : Buffer.from(bytes).toString('utf8');
    },
    exists: found => found !== null,
    plan(found, scope) {
      const wanted = artifactText(name, scope);
      if (found === wanted) return [];
      const { files, digest } = artifactNamed(scope.release, name);
      const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
      return [
        {
          step: 'artifact',
          what: `seal ${files.length} files, ${sizeBytes} bytes, into release ${scope.release.id}`,
          before: found === null ? null : 'another list of files',
          after: digest.slice(0, 12),
          async apply({ host }) {
            const file = artifactFile(name, scope);
            await host.makeFolder(file.slice(0, file.lastIndexOf('/')), { mode: 0o700 });
            await host.put(file, wanted, { mode: 0o600 });
            await dropOld(scope);
          },
        },
      ];
    },
    report: () => ({}),
    verify: scope => verifySealed(name, scope),
    missing: scope => missing?.(scope) ?? [],
  });
  return {
    folder: 'Build',
    name,
    title,
    does,
    needs: [],
    parameters: BUILD_PARAMETERS,
    // The program is the same on every target.
    target: () => 'embedded',
    units: { embedded: unit },
  };
}

/** Releases that are kept. Sources that change often, on a developer's machine, would fill the folder for ever. */
const RELEASES_MAX = 20;

/** Drops the releases that were sealed longest ago, past the most that are kept; never the running one. */
async function dropOld({ site: { host, paths }, release }: Scope): Promise<void> {
  const ids = (await host.list(paths.releases)).filter(id => id !== release.id);
  if (ids.length < RELEASES_MAX) return;
  const rows = await Promise.all(
    ids.map(async id => {
      const path = join(paths.releases, id);
      return { path, atMs: (await host.stat(path))?.modifiedAtMs ?? 0 };
    }),
  );
  const oldest = rows.sort((left, right) => left.atMs - right.atMs).slice(0, ids.length - RELEASES_MAX + 1);
  for (const { path } of oldest) await host.remove(path);
}

/** Hashes every file once more and compares with what was sealed. */
async function verifySealed(name: ArtifactName, scope: Scope) {
  const sealed = artifactNamed(scope.release, name);
  const again = artifactNamed(await scope.site.rehash(), name);
  const changed = sealed.files.find(file => !again.files.some(other => other.sha256 === file.sha256));
  expectThat(
    again.digest === sealed.digest,
    `${changed?.path ?? 'a file'} changed while the release was sealed`,
  );
  return { release: scope.release.id, digest: sealed.digest, files: sealed.files.length };
}
