import type {
  LastReceipt,
  OperationDescription,
  OperationDocument,
  OperationsDocument,
  ReceiptDocument,
} from '../../core/operation-documents.ts';
import { type Inspection, surveyAll } from '../../operations/engine/inspect.ts';
import { operationPath } from '../../operations/engine/operation.ts';
import { undoOutlook } from '../../operations/engine/undo.ts';
import { OPERATIONS } from '../../operations/list.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { formatPairs, formatTable } from '../format.ts';
import { operationCall } from '../operation-call.ts';

/** `operations`: every operation with its state, in the order of the original's documentation. */
export async function listOperations(call: Call): Promise<undefined> {
  const { settings, config } = operationCall(call, []);
  const operations = await documentsOf(call, [], false);
  const document: OperationsDocument = {
    environment: settings.environment,
    protected: config['operations.protected'],
    operations: operations.map(listed),
  };
  call.output.document(document, () =>
    formatTable(
      [{ title: 'OPERATION' }, { title: 'TARGET' }, { title: 'STATE' }, { title: 'MISSING' }],
      operations.map(row => [row.path, row.target, row.state, row.missing.join(', ')]),
    ),
  );
}

/** `operations describe PATH`: what it does, needs and would change, and what became of the original's parameters. */
export async function describeOperation(call: Call): Promise<undefined> {
  const rows = await documentsOf(call, [call.arg(0)], true);
  const [first] = rows;
  const document = rows.length === 1 && first !== undefined ? first : { operations: rows };
  call.output.document(document, () => rows.map(describeText).join('\n'));
}

/** @param plansUndo  whether undo is planned as well, which looks into what the operations hold */
async function documentsOf(
  call: Call,
  typed: readonly string[],
  plansUndo: boolean,
): Promise<readonly OperationDescription[]> {
  const { settings, config, operations, jobs } = operationCall(call, typed);
  const opened = await openOperations({ settings, config, jobs });
  const [seen, { entries }] = await Promise.all([
    surveyAll(operations, opened.scope),
    opened.receipts.read(),
  ]);
  const isServed = plansUndo && (await opened.scope.site.served()) !== null;
  const last = new Map<string, ReceiptDocument>();
  for (const entry of entries) if (entry.kind === 'receipt') last.set(entry.operation, entry);
  return Promise.all(
    seen.map(inspection =>
      documentOf(inspection, {
        target: inspection.operation.target(config),
        environment: settings.environment,
        last: last.get(inspection.path),
        plansUndo,
        isServed,
      }),
    ),
  );
}

async function documentOf(
  { operation, path, unit, look, missing, state, changes }: Inspection,
  more: {
    readonly target: OperationDocument['target'];
    readonly environment: string;
    readonly last: ReceiptDocument | undefined;
    readonly plansUndo: boolean;
    readonly isServed: boolean;
  },
): Promise<OperationDescription> {
  const needed = OPERATIONS.filter(other => operation.needs.includes(`${other.folder}/${other.name}`));
  return {
    path,
    title: operation.title,
    does: operation.does,
    target: more.target,
    state,
    needs: needed.map(other => operationPath(other, more.environment)),
    receipt: more.last?.id ?? null,
    last: more.last === undefined ? null : headOf(more.last),
    missing,
    aliases: operation.aliases ?? [],
    parameters: operation.parameters,
    standIn: unit.standIn,
    changes,
    observed: look.report,
    undo: more.plansUndo ? await undoOutlook(look, more.isServed) : null,
  };
}

function headOf({ id, startedAtMs, durationMs, outcome, verb, who }: ReceiptDocument): LastReceipt {
  return { id, startedAtMs, durationMs, outcome, verb, who };
}

function listed(row: OperationDescription): OperationDocument {
  const { path, title, does, target, state, needs, receipt, last, missing } = row;
  return { path, title, does, target, state, needs, receipt, last, missing };
}

function describeText(row: OperationDescription): string {
  const pairs = formatPairs([
    ['path', row.path],
    ['title', row.title],
    ['does', row.does],
    ['target', row.target],
    ['state', row.state],
    ...(row.missing.length === 0 ? [] : [['missing', row.missing.join(', ')] as const]),
    ...(row.standIn === null ? [] : [['stands in', row.standIn] as const]),
    ['aliases', row.aliases.join(', ')],
    ['receipt', row.receipt ?? 'none'],
    ['needs', row.needs.join(', ') || 'nothing'],
    ['to do', row.changes.map(({ what }) => what).join('; ') || 'nothing'],
  ]);
  const parameters = formatTable(
    [{ title: "ORIGINAL'S PARAMETER" }, { title: 'HERE' }, { title: 'BECAUSE' }],
    row.parameters.map(({ original, flag, because }) => [original, flag ?? 'gone', because]),
  );
  return `${pairs}\n${parameters}`;
}
