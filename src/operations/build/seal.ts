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
