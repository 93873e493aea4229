import { writeFile } from 'node:fs/promises';
import type { PlanDocument } from '../../core/operation-documents.ts';
import { changeText } from '../../operations/engine/run.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { formatCounted } from '../format.ts';
import { operationCall } from '../operation-call.ts';

/** `plan [PATH…]`: exactly what `run` would do; changes nothing. With `--exit-code` 1 where there is something. */
export async function plan(call: Call): Promise<number> {
  const { settings, config, operations, paths, jobs } = operationCall(call, call.args);
  const opened = await openOperations({ settings, config, jobs });
  const made = await opened.plan({ paths, operations, only: call.flag('only') });
  const document = opened.document(made);
  const file = call.text('out');
  if (file !== undefined) await writeFile(file, `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 });
  call.output.document(document, () => planText(document));
  return call.flag('exitCode') && document.changes > 0 ? 1 : 0;
}

/** A plan for a person. */
function planText({ plan: planned, changes, environment }: PlanDocument): string {
  const lines = planned.flatMap(({ operation, changes: own }) => [
    operation,
    ...own.map(change => `  ${change.step}: ${changeText(change)}`),
  ]);
  const total =
    changes === 0
      ? `Nothing to do: ${environment} is as it should be.`
      : `${formatCounted(changes, 'change', 'changes')}, operations: ${planned.length}.`;
  return `${[...lines, total].join('\n')}\n`;
}
