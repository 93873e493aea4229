import { dirname, join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import { isObject, type JsonObject, parseJsonObject } from '../../core/event.ts';
import type { FileState } from '../../core/host.ts';
import type { Step } from '../../core/operation.ts';
import { defineUnit, type Scope, type Unit } from './operation.ts';
import { ARTIFACTS, type ArtifactName, artifactNamed } from './release.ts';
import { isSealed } from './sealed.ts';
import type { SitePaths, Trial } from './site.ts';

/** An operation inside the serving process: folders, steps of its own, and a record of what it was set up for. */
export interface EmbeddedSpec {
  /** Names its record: `Provision-Kafka`. */
  readonly record: string;
  /** What is set up, in a few words: what the plan shows of the record. */
  readonly component: string;
  /** What stands in for the original's component, a sentence. */
  readonly standIn?: string;
  /** Folders that it creates, mode 0700. */
  readonly folders?: (paths: SitePaths) => readonly string[];
  /** Sections of the configuration that it depends on, or keys by their full name: a change of one is a drift. */
  readonly sections?: readonly string[];
  /** Artifacts of the release it deploys: a new release is a drift, and a draft is refused. */
  readonly artifacts?: readonly ArtifactName[];
  /** What else it stands for, by name. */
  readonly facts?: (scope: Scope) => JsonObject;
  /**
   * Looks for what else is to be done; reads only. The steps come before the record's. `isRecorded`: the record says
   * that it was set up for just this configuration and release.
   */
  readonly steps?: (scope: Scope, isRecorded: boolean) => Promise<readonly Step[]>;
  /** Proves it on what the environment has. */
  readonly verify?: (scope: Scope) => Promise<JsonObject>;
  /** Proves it on an instance with data of its own; `operations.trial` switches that off. */
  readonly tried?: (scope: Scope, trial: Trial) => Promise<JsonObject>;
  readonly missing?: (scope: Scope) => readonly string[];
  /** Names what it holds of the operator's; undo is refused then. Absent: it has no undo. */
  readonly holds?: (scope: Scope) => Promise<string | null>;
  /** Files of its own that undo removes besides its folders. */
  readonly files?: (paths: SitePaths) => readonly string[];
}

interface Observed {
  readonly folders: readonly { readonly path: string; readonly state: FileState | undefined }[];
  readonly record: JsonObject | null;
  readonly steps: readonly Step[];
}

const FOLDER_MODE = 0o700;

/** Makes the embedded unit of an operation. */
export function embeddedUnit(spec: EmbeddedSpec): Unit {
  return defineUnit<Observed>({
    observe: scope => observe(spec, scope),
    exists: ({ folders, record }) => record !== null || folders.some(({ state }) => state !== undefined),
    plan: (observed, scope) => [
      ...observed.folders.flatMap(folderSteps),
      ...observed.steps,
      ...recordSteps(spec, observed.record, scope),
    ],
    report: ({ record }) => ({ component: spec.component, ...record }),
    verify: scope => verify(spec, scope),
    missing: scope => spec.missing?.(scope) ?? [],
    ...(spec.holds === undefined ? {} : { undo: (observed, scope) => undoSteps(spec, observed, scope) }),
    ...(spec.standIn === undefined ? {} : { standIn: spec.standIn }),
    isServed: spec.artifacts !== undefined,
  });
}

async function verify(spec: EmbeddedSpec, scope: Scope): Promise<JsonObject> {
  const observed = (await spec.verify?.(scope)) ?? {};
  if (spec.tried === undefined) return observed;
  if (!scope.config['operations.trial']) return { ...observed, trial: 'off' };
  return { ...observed, ...(await spec.tried(scope, await scope.site.trial())) };
}

async function observe(spec: EmbeddedSpec, scope: Scope): Promise<Observed> {
  const { host, paths } = scope.site;
  const folders = await Promise.all(
    (spec.folders?.(paths) ?? []).map(async path => ({ path, state: await host.stat(path) })),
  );
  const record = await readRecord(spec, scope);
  const isRecorded = isWanted(record, wantedRecord(spec, scope));
  return { folders, record, steps: (await spec.steps?.(scope, isRecorded)) ?? [] };
}

function folderSteps({ path, state }: Observed['folders'][number]): readonly Step[] {
  if (state !== undefined && state.kind !== 'folder') {
    throw new MillraceError('ERR_HOST_COMMAND', `${path} is there and is no folder`, {
      remedy: `Move ${path} aside.`,
    });
  }
  if (state?.mode === FOLDER_MODE) return [];
  const mode = (bits: number) => `0${bits.toString(8)}`;
  return [
    {
      step: `folder-${path.slice(path.lastIndexOf('/') + 1)}`,
      what: state === undefined ? `create the folder ${path}` : `give ${path} back its rights`,
      before: state === undefined ? null : mode(state.mode),
      after: mode(FOLDER_MODE),
      apply: ({ host }) => host.makeFolder(path, { mode: FOLDER_MODE }),
    },
  ];
}

function recordFile(spec: EmbeddedSpec, { site }: Scope): string {
  return join(site.paths.operations, 'records', `${spec.record}.json`);
}

/** Stands for a record that somebody damaged: something is there, and it is not what is wanted. */
const UNREADABLE: JsonObject = { record: 'unreadable' };

async function readRecord(spec: EmbeddedSpec, scope: Scope): Promise<JsonObject | null> {
  const bytes = await scope.site.host.read(recordFile(spec, scope));
  return bytes === undefined ? null : (parseJsonObject(Buffer.from(bytes).toString('utf8')) ?? UNREADABLE);
}

/** What the record says when all is as it should be. */
function wantedRecord(spec: EmbeddedSpec, scope: Scope): JsonObject {
  const { release, site } = scope;
  const artifacts = (spec.artifacts ?? []).map(name => [name, artifactNamed(release, name).digest]);
  return {
    component: spec.component,
    ...(spec.sections === undefined ? {} : { config: site.configDigestOf(spec.sections) }),
    ...(spec.artifacts === undefined ? {} : { artifacts: Object.fromEntries(artifacts) as JsonObject }),
    ...spec.facts?.(scope),
  };
}

function isWanted(found: JsonObject | null, wanted: JsonObject): boolean {
  return JSON.stringify(found) === JSON.stringify(wanted);
}

function recordSteps(spec: EmbeddedSpec, found: JsonObject | null, scope: Scope): readonly Step[] {
  const wanted = wantedRecord(spec, scope);
  if (isWanted(found, wanted)) return [];
  const file = recordFile(spec, scope);
  return [
    {
      step: 'record',
      what: spec.artifacts === undefined ? `set up: ${spec.component}` : `deploy: ${spec.component}`,
      before: found === null ? null : summary(found, wanted),
      after: summary(wanted, found ?? {}),
      async apply({ host }) {
        if (spec.artifacts !== undefined) await refuseDraft(scope);
        await host.makeFolder(dirname(file), { mode: FOLDER_MODE });
        await host.put(file, `${JSON.stringify(wanted)}\n`, { mode: 0o600 });
      },
    },
  ];
}

/** The members in which a record differs from another, short enough for a line. */
function summary(record: JsonObject, other: JsonObject): string {
  const texts = flat(record).filter(text => !flat(other).includes(text));
  return texts.join(', ') || 'nothing';
}

function flat(record: JsonObject, prefix = ''): readonly string[] {
  return Object.entries(record).flatMap(([name, value]) => {
    if (isObject(value)) return flat(value, `${prefix}${name} `);
    const text = String(value);
    return [`${prefix}${name} ${/^[0-9a-f]{64}$/.test(text) ? text.slice(0, 12) : text}`];
  });
}

/** Throws ERR_RELEASE_DRAFT where an artifact of the release is not built. */
async function refuseDraft(scope: Scope): Promise<void> {
  const built = await Promise.all(ARTIFACTS.map(name => isSealed(name, scope)));
  const left = ARTIFACTS.filter((_, index) => built[index] !== true);
  if (left.length === 0) return;
  throw new MillraceError('ERR_RELEASE_DRAFT', `release ${scope.release.id} lacks ${left.join(', ')}`);
}

async function undoSteps(
  spec: EmbeddedSpec,
  { folders, record }: Observed,
  scope: Scope,
): Promise<readonly Step[]> {
  const held = await spec.holds?.(scope);
  if (held !== null && held !== undefined) {
    throw new MillraceError('ERR_UNDO_REFUSED', `it holds ${held}`, {
      remedy: 'millrace uninstall removes an environment with its data; undo never does.',
    });
  }
  const { host } = scope.site;
  const remove = (step: string, path: string): Step => ({
    step,
    what: `remove ${path}`,
    before: 'there',
    after: null,
    apply: () => host.remove(path),
  });
  const files = [];
  for (const path of spec.files?.(scope.site.paths) ?? []) {
    if ((await host.stat(path)) !== undefined) files.push(remove('file', path));
  }
  return [
    // What was remembered of it, and read by operations alone.
    ...(record === null ? [] : [{ ...remove('record', recordFile(spec, scope)), whileServed: true }]),
    ...files,
    ...folders.filter(({ state }) => state !== undefined).map(({ path }) => remove('folder', path)),
  ];
}
