import { existsSync } from 'node:fs';
import { MillraceError } from '../../core/errors.ts';
import { eidOf, type JsonObject } from '../../core/event.ts';
import type { Violation } from '../../core/job.ts';
import type { SchemaDocument, SchemaFinding } from '../../core/schema-documents.ts';
import type { Call } from '../call.ts';
import { beginDraft, compileOne, lintFile, lintOwn, readSchemas } from '../compose-schemas.ts';
import { formatCount, formatCounted, printable } from '../format.ts';
import { askDocument, findServer } from '../http-client.ts';
import { type FileEvent, readEvents } from '../read-events.ts';

/** `schemas new EID [--from FILE]`: the draft on standard output, remarks on standard error. */
export async function newSchema(call: Call): Promise<undefined> {
  const { settings, output } = call;
  const eid = call.arg(0);
  const { draft, checkEnvelope } = beginDraft(eid, await readSchemas(settings));
  const file = call.text('from');
  if (file !== undefined) {
    const others = new Set<string>();
    const broken: string[] = [];
    let count = 0;
    for await (const place of readEvents(file)) {
      const found = eidOf(place.event);
      if (found !== eid) {
        if (others.size < OTHERS_MAX) others.add(found ?? '(none)');
        continue;
      }
      draft.add(place.event);
      const violation = checkEnvelope(place.event);
      if (violation === null) continue;
      count += 1;
      if (broken.length === 0)
        broken.push(`first ${placeOf(place)}: ${violation.pointer} ${violation.message}`);
    }
    if (draft.count === 0) throw noExamples(file, eid, [...others]);
    output.note(`drafted from ${formatCounted(draft.count, 'event', 'events')} of ${file}`);
    if (count > 0)
      output.note(`${formatCounted(count, 'example breaks', 'examples break')} the envelope, ${broken[0]}`);
  }
  const schema = draft.schema();
  output.document(schema, () => `${JSON.stringify(schema, null, 2)}\n`);
}

const OTHERS_MAX = 10;

function noExamples(file: string, eid: string, others: readonly string[]): MillraceError {
  const found = others.length === 0 ? 'it holds none' : `it holds ${others.join(', ')}`;
  return new MillraceError('ERR_USAGE', `no event of ${file} has the eid ${eid}: ${found}`, {
    remedy: 'Name the eid as the events do, or leave --from out for an empty draft.',
  });
}

/** `schemas check [FILE…]`: exit 1 where one has an error. */
export async function checkSchemas(call: Call): Promise<number> {
  const catalogue = await readSchemas(call.settings);
  const results =
    call.args.length === 0
      ? lintOwn(catalogue)
      : await Promise.all(call.args.map(async name => ({ name, ...(await lintFile(name, catalogue)) })));
  const files = results.map(({ name, eid, findings }) => ({ file: name, eid: eid ?? null, findings }));
  const isOk = files.every(({ eid }) => eid !== null);
  call.output.document({ ok: isOk, files }, () =>
    files.length === 0
      ? 'No schema was added; the shipped ones are tested with each release.\n'
      : files.map(fileText).join(''),
  );
  return isOk ? 0 : 1;
}

function fileText(result: {
  readonly file: string;
  readonly eid: string | null;
  readonly findings: readonly SchemaFinding[];
}): string {
  const lines = result.findings.map(
    ({ severity, pointer, message }) =>
      `  ${severity}: ${printable(`${pointer || 'the schema'} ${message}`)}\n`,
  );
  const verdict = result.eid === null ? 'cannot be used' : `is a schema of ${result.eid}`;
  return `${result.file} ${verdict}\n${lines.join('')}`;
}

/** `schemas test FILE-or-EID --events FILE`: JSON lines with --json; exit 1 where an event is refused. */
export async function testSchema(call: Call): Promise<number> {
  const { output } = call;
  const events = call.text('events');
  if (events === undefined)
    throw new MillraceError('ERR_USAGE', '--events FILE is missing ("-" reads standard input)');
  const { name, schema } = await schemaOf(call, call.arg(0));
  const check = compileOne(name, schema);
  let [valid, invalid] = [0, 0];
  for await (const place of readEvents(events)) {
    const violation = check(place.event);
    if (violation === null) valid += 1;
    else invalid += 1;
    await output.write(output.json ? verdictLine(place, violation) : verdictText(place, violation));
  }
  if (output.json) await output.write(`${JSON.stringify({ summary: { schema: name, valid, invalid } })}\n`);
  else await output.write(`${name}: ${formatCount(valid)} accepted, ${formatCount(invalid)} refused\n`);
  return invalid === 0 ? 0 : 1;
}

/** A file of that name, else the published schema (or draft) of that eid. */
async function schemaOf({ settings }: Call, name: string): Promise<{ name: string; schema: JsonObject }> {
  if (name !== '-' && !existsSync(name) && /^[A-Z][A-Z0-9_]*$/.test(name)) {
    const found =
      settings.url === undefined
        ? (await readSchemas(settings)).show(name)
        : await askDocument<SchemaDocument>(findServer(settings), { path: `/v1/schemas/${name}` });
    return {
      name: `${name} version ${found.version} (${found.origin}, ${found.state})`,
      schema: found.schema,
    };
  }
  const { schema, findings } = await lintFile(name, await readSchemas(settings));
  if (schema !== undefined) return { name, schema };
  const error = findings.find(({ severity }) => severity === 'error');
  throw new MillraceError(
    'ERR_SCHEMA_INVALID',
    `${name}: ${error?.pointer || 'the schema'} ${error?.message}`,
    {
      remedy: `See all of it: millrace schemas check ${name}`,
    },
  );
}

function verdictLine({ line, index, event }: FileEvent, violation: Violation | null): string {
  const { pointer, message } = violation ?? { pointer: null, message: null };
  const eid = eidOf(event) ?? null;
  return `${JSON.stringify({ line, index, eid, valid: violation === null, pointer, message })}\n`;
}

function verdictText(place: FileEvent, violation: Violation | null): string {
  const said = violation === null ? 'ok' : `${violation.pointer || 'the event'} ${violation.message}`;
  return `${placeOf(place)}: ${printable(said)}\n`;
}

function placeOf({ line, index }: FileEvent): string {
  return index === null ? `line ${line}` : `line ${line}, event ${index}`;
}
