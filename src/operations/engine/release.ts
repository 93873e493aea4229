/** The five artifacts of the original's Build folder; every file of a release belongs to exactly one. */
export const ARTIFACTS = ['Analytics', 'ApiModule', 'DataPipeline', 'ETLJobs', 'Secor'] as const;

/** Ids of the operations that seal them: a release that misses one is a draft, and nothing of it is deployed. */
export const BUILDS: readonly string[] = ARTIFACTS.map(name => `Build/${name}`);

/** Name of an artifact: the last part of its Build operation's path. */
export type ArtifactName = (typeof ARTIFACTS)[number];

/** A file of a release. */
export interface ReleaseFile {
  /** From the package's root, `/` between folders. */
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** One artifact with all its files, by path. */
export interface Artifact {
  readonly name: ArtifactName;
  /** SHA-256, hex, over paths and digests of the files. */
  readonly digest: string;
  readonly files: readonly ReleaseFile[];
}

/** The files that run, as a release: equal digests are the same program. */
export interface Release {
  /** `<version>-<first 12 of the digest>`; names its folder. */
  readonly id: string;
  readonly version: string;
  /** SHA-256, hex, over the artifacts. */
  readonly digest: string;
  readonly artifacts: readonly Artifact[];
  /** SHA-256, hex, over the event schemas alone: what every worker must have loaded. */
  readonly schemasDigest: string;
  /** Versions of what it runs on. */
  readonly node: string;
}

/** Which artifact a file belongs to, the first rule that fits; what none names is the pipeline's. */
const RULES: readonly (readonly [prefix: string, artifact: ArtifactName])[] = [
  ['src/runtime/archive/', 'Secor'],
  ['src/adapters/objects/', 'Secor'],
  ['src/adapters/cache/', 'ETLJobs'],
  ['src/services/query/', 'ApiModule'],
  ['src/adapters/tables/', 'ApiModule'],
  ['src/products/', 'Analytics'],
  ['src/adapters/batch/', 'Analytics'],
  ['src/services/', 'Analytics'],
];

/** The artifact that a file belongs to. */
export function artifactOf(path: string): ArtifactName {
  return RULES.find(([prefix]) => path.startsWith(prefix))?.[1] ?? 'DataPipeline';
}

/** An artifact by name. */
export function artifactNamed(release: Release, name: ArtifactName): Artifact {
  const found = release.artifacts.find(artifact => artifact.name === name);
  if (found === undefined) throw new Error(`assertion failed: the release has no artifact ${name}`);
  return found;
}
