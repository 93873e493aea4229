import { MillraceError } from '../../core/errors.ts';
import type {
  SchemaAddedDocument,
  SchemaDesk,
  SchemasDocument,
  SchemasPublishedDocument,
  SchemaWorkerDocument,
} from '../../core/schema-documents.ts';
import type { Call } from '../call.ts';
import { lintFile, readSchemas, withOwnDesk } from '../compose-schemas.ts';
import { formatCounted, formatTable, formatTime } from '../format.ts';
import { askDocument, type ClientRequest, findServer, readServing, type Server } from '../http-client.ts';

/** `schemas list`: of the serving process, with what its workers use; else of the data directory. */
export async function listSchemas({ settings, output }: Call): Promise<undefined> {
  const served = await askServing<SchemasDocument>(settings, { path: '/v1/schemas' });
  const document = served ?? (await storedSchemas(settings));
  output.document(document, () => listText(document));
}

async function storedSchemas(settings: Call['settings']): Promise<SchemasDocument> {
  const catalogue = await readSchemas(settings);
  return {
    digest: catalogue.current.digest,
    shippedDigest: catalogue.shippedDigest,
    workers: [],
    schemas: catalogue.rows(),
    sets: catalogue.sets(),
  };
}

/** `schemas add FILE`: a file with an error is refused before anything is asked. */
export async function addSchema(call: Call): Promise<undefined> {
  const { settings, output } = call;
  const { document: schema } = await lintFile(call.arg(0), await readSchemas(settings));
  const incompatible = call.flag('incompatible');
  const added = await change<SchemaAddedDocument>(call, {
    request: { method: 'POST', path: '/v1/schemas', body: JSON.stringify({ schema, incompatible }) },
    work: desk => desk.add(schema, incompatible),
  });
  for (const { pointer, message } of added.warnings)
    output.note(`warning: ${pointer || 'the schema'} ${message}`);
  output.document(added, () => addedText(added));
}

/** `schemas publish`: exit 1 where a worker does not use the set afterwards. */
export async function publishSchemas(call: Call): Promise<number> {
  const digest = call.text('digest');
  if (digest !== undefined && !/^[0-9a-f]{8,64}$/.test(digest)) {
    throw new MillraceError('ERR_USAGE', `--digest must be 8 to 64 hexadecimal digits, is "${digest}"`, {
      remedy: 'millrace schemas list shows the digests of the sets.',
    });
  }
  const published = await change<SchemasPublishedDocument>(call, {
    request: { method: 'POST', path: '/v1/schemas/publish', body: JSON.stringify({ digest }) },
    work: desk => desk.publish(digest),
  });
  call.output.document(published, () => publishedText(published));
  return published.workers.every(worker => worker.digest === published.digest) ? 0 : 1;
}

/** Has the serving process make a change; where nothing serves, makes it in the data directory. */
async function change<T>(
  { settings, output }: Call,
  way: { readonly request: ClientRequest; readonly work: (desk: SchemaDesk) => Promise<T> },
): Promise<T> {
  const answer = await askServing<T>(settings, way.request);
  if (answer !== undefined) return answer;
  const made = await withOwnDesk(settings, way.work);
  output.note('Nothing serves this environment: it counts from the next start on.');
  return made;
}

/** The answer of the process that serves the environment; undefined where nothing does, and none was named. */
async function askServing<T>(settings: Call['settings'], request: ClientRequest): Promise<T | undefined> {
  if (settings.url !== undefined) return askDocument<T>(findServer(settings), request);
  if (readServing(settings) === undefined) return undefined;
  const server: Server = findServer(settings);
  try {
    return await askDocument<T>(server, request);
  } catch (error) {
    // A kill leaves its address behind. Who owns the data after all is told by the lock.
    if (error instanceof MillraceError && error.code === 'ERR_NOT_SERVING') return undefined;
    throw error;
  }
}

function listText({ schemas, sets, ...state }: SchemasDocument): string {
  const table = formatTable(
    [
      { title: 'EID' },
      { title: 'EVENT VERSION' },
      { title: 'VERSION', align: 'right' },
      { title: 'ORIGIN' },
      { title: 'STATE' },
      { title: 'DIGEST' },
    ],
    schemas.map(row => [
      row.eid,
      row.eventVersion,
      String(row.version),
      row.origin,
      row.breaks.length === 0 ? row.state : `${row.state}, incompatible`,
      row.digest.slice(0, 12),
    ]),
  );
  const history = formatTable(
    [{ title: 'SET' }, { title: 'PUBLISHED' }, { title: 'OWN SCHEMAS' }],
    sets.map(set => [
      set.digest.slice(0, 12),
      formatTime(set.publishedAtMs),
      Object.entries(set.versions)
        .map(([eid, version]) => `${eid} ${version}`)
        .join(', '),
    ]),
    'Only the shipped schemas were ever current.',
  );
  return [table, history, stateText(state)].join('\n');
}

function stateText({
  digest,
  workers,
}: {
  digest: string;
  workers: readonly SchemaWorkerDocument[];
}): string {
  const astray = workers.filter(worker => worker.digest !== digest);
  const lines = astray.map(
    worker => `worker ${worker.worker} uses ${worker.digest ?? `nothing that it tells: ${worker.detail}`}\n`,
  );
  const used =
    workers.length === 0 ? '' : `, used by ${workers.length - astray.length} of ${workers.length} workers`;
  return `set ${digest}${used}\n${lines.join('')}`;
}

function addedText(added: SchemaAddedDocument): string {
  const name = `${added.eid} version ${added.version}`;
  if (!added.changed) return `${name} says the same and is published\n`;
  const breaks = added.breaks
    .map(({ pointer, message }) => `  ${pointer || 'the event'} ${message}\n`)
    .join('');
  const head =
    added.breaks.length === 0 ? '' : `incompatible with the version before, as you said:\n${breaks}`;
  return `${head}${name} added; make it current: millrace schemas publish\n`;
}

function publishedText(document: SchemasPublishedDocument): string {
  const { changed, published } = document;
  const lines = published.map(({ eid, version }) =>
    version === null ? `${eid} is not the operator's any more\n` : `${eid} version ${version}\n`,
  );
  const head = changed
    ? `${formatCounted(published.length, 'schema', 'schemas')} published\n`
    : 'nothing to publish: all that was added is current\n';
  return `${head}${lines.join('')}${stateText(document)}`;
}
