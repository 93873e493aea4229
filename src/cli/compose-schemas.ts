import { takeOwnership } from '../adapters/log/owner-lock.ts';
import { type Check, compileSchemas, createCompiler } from '../adapters/schemas/ajv-schemas.ts';
import { createDraft, type Draft } from '../adapters/schemas/draft-schema.ts';
import { type LintedSchema, lintSchema, refuseEid } from '../adapters/schemas/lint-schema.ts';
import { parseSchema, SCHEMA_BYTES_MAX } from '../adapters/schemas/read-schemas.ts';
import { type PlannedSet, SchemaCatalogue } from '../adapters/schemas/schema-catalogue.ts';
import { SCHEMAS_DIRECTORY, type Settings } from '../config/environment.ts';
import { MillraceError } from '../core/errors.ts';
import type { Json, JsonObject } from '../core/event.ts';
import type {
  SchemaDesk,
  SchemaFinding,
  SchemaStateDocument,
  SchemasPublishedDocument,
  SchemaWorkerDocument,
} from '../core/schema-documents.ts';
import { failpoint } from '../observability/failpoint.ts';
import { type EnvironmentPaths, environmentPaths, prepareDataDirectory } from './data-directory.ts';
import { readText } from './read-lines.ts';
import type { Calls } from './worker-call.ts';
import type { WorkerSchemas } from './worker-schemas.ts';

/** A worker as far as its schemas go. */
export type SchemaWorker = Calls<WorkerSchemas['calls']>;

/** Compiling every schema takes 0.3 s; a worker that is silent for so long does not answer at all. */
const ANSWER_MS_MAX = 30_000;

/**
 * Opens the schemas of an environment for the process that owns its data.
 * @param workers  those of the chain now, each of which holds events against the published set
 */
export async function openSchemaDesk(
  paths: Pick<EnvironmentPaths, 'schemas'>,
  workers: () => readonly SchemaWorker[],
): Promise<SchemaDesk> {
  const catalogue = await SchemaCatalogue.open({ shipped: SCHEMAS_DIRECTORY, own: paths.schemas });
  const inTurn = createTurns();
  const state = async (): Promise<SchemaStateDocument> => ({
    digest: catalogue.current.digest,
    shippedDigest: catalogue.shippedDigest,
    workers: await Promise.all(workers().map(readBack)),
  });
  return {
    digest: () => catalogue.current.digest,
    shippedDigest: () => catalogue.shippedDigest,
    list: async () => ({ ...(await state()), schemas: catalogue.rows(), sets: catalogue.sets() }),
    show: eid => catalogue.show(eid),
    add: (document, isIncompatible) => inTurn(() => addSchema(catalogue, document, isIncompatible)),
    publish: digest =>
      inTurn(async () => {
        const planned = catalogue.plan(digest);
        const isNew = planned.changes.length > 0;
        if (isNew) await exchange(catalogue, planned, workers());
        return {
          ...(await state()),
          changed: isNew,
          published: planned.changes,
        } satisfies SchemasPublishedDocument;
      }),
  };
}

/**
 * All workers compile the set before it is recorded, and take it after: one that cannot be compiled changes nothing,
 * and a crash at any point leaves the set of before or the new one, in every worker of the next start.
 */
async function exchange(
  catalogue: SchemaCatalogue,
  planned: PlannedSet,
  workers: readonly SchemaWorker[],
): Promise<void> {
  const { versions, set } = planned;
  if (workers.length === 0) compileSchemas(set);
  const digests = await Promise.all(workers.map(worker => answerOf(worker.prepareSchemas(versions))));
  const other = digests.find(digest => digest !== set.digest);
  if (other !== undefined)
    throw new MillraceError(
      'ERR_NOT_READY',
      `a worker reads other files: its digest is ${other}, not ${set.digest}`,
    );
  failpoint('schemas.beforeRecord');
  await catalogue.record(planned, Date.now());
  failpoint('schemas.afterRecord');
  await Promise.all(workers.map(worker => answerOf(worker.reloadSchemas(set.digest))));
}

async function addSchema(catalogue: SchemaCatalogue, document: Json, isIncompatible: boolean) {
  const linted = lintSchema(document, catalogue.shipped);
  const { eid, schema, findings } = linted;
  if (eid === undefined || schema === undefined) throw invalid(findings);
  const added = await catalogue.add({ eid, document, schema }, { isIncompatible, nowMs: Date.now() });
  return { ...added, warnings: findings };
}

function invalid(findings: readonly SchemaFinding[]): MillraceError {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const why = errors.map(({ pointer, message }) => `${pointer || 'the schema'} ${message}`).join('; ');
  return new MillraceError('ERR_SCHEMA_INVALID', why, {
    remedy: 'Correct it, then: millrace schemas check FILE',
  });
}

async function readBack(worker: SchemaWorker, index: number): Promise<SchemaWorkerDocument> {
  try {
    return { worker: index, digest: await answerOf(worker.schemasDigest()), detail: '' };
  } catch (error) {
    return { worker: index, digest: null, detail: error instanceof Error ? error.message : String(error) };
  }
}

async function answerOf<T>(call: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const silent = new MillraceError('ERR_NOT_READY', `a worker did not answer within ${ANSWER_MS_MAX} ms`);
  const timer = setTimeout(() => late.reject(silent), ANSWER_MS_MAX);
  try {
    return await Promise.race([call, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs what it is given one after the other, whatever became of those before. */
function createTurns() {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work);
    last = turn.catch(() => undefined);
    return turn;
  };
}

/**
 * Changes the schemas of an environment that nothing serves; the next start goes by them.
 * @throws MillraceError ERR_OWNED where a process owns the data after all
 */
export async function withOwnDesk<T>(settings: Settings, work: (desk: SchemaDesk) => Promise<T>): Promise<T> {
  const paths = await prepareDataDirectory(settings.dataDirectory, settings.environment);
  const owner = await takeOwnership(paths.root);
  try {
    return await work(await openSchemaDesk(paths, () => []));
  } finally {
    owner.release();
  }
}

/** The schemas of an environment as its data directory holds them, for reading; it need not exist. */
export async function readSchemas(settings: Settings): Promise<SchemaCatalogue> {
  const paths = environmentPaths(settings.dataDirectory, settings.environment);
  return SchemaCatalogue.open({ shipped: SCHEMAS_DIRECTORY, own: paths.schemas });
}

/** A file of a schema, linted; "-" is standard input. Throws ERR_FILE_UNREADABLE, ERR_SCHEMA_INVALID. */
export async function lintFile(
  file: string,
  { shipped }: SchemaCatalogue,
): Promise<LintedSchema & { readonly document: Json }> {
  const document = parseSchema(await readText(file, SCHEMA_BYTES_MAX), file);
  return { document, ...lintSchema(document, shipped) };
}

/** The lint of every schema that the operator added: those that are published, and drafts. */
export function lintOwn(catalogue: SchemaCatalogue): readonly (LintedSchema & { readonly name: string })[] {
  return catalogue.live().map(({ eid, version, schema }) => ({
    name: `${eid} version ${version}`,
    ...lintSchema(schema, catalogue.shipped),
  }));
}

/** Compiles one schema with its references put in. */
export function compileOne(name: string, schema: JsonObject): Check {
  return createCompiler()(name, schema);
}

/** Begins a draft, and the check of its examples' envelope. Throws ERR_USAGE where the eid cannot have a schema. */
export function beginDraft(
  eid: string,
  { shipped }: SchemaCatalogue,
): { readonly draft: Draft; readonly checkEnvelope: Check } {
  const refusal = refuseEid(eid, shipped);
  if (refusal !== undefined) throw new MillraceError('ERR_USAGE', refusal);
  return {
    draft: createDraft(eid),
    checkEnvelope: compileOne('envelope', shipped.telemetry.get('envelope')!),
  };
}
