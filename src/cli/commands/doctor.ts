import type { ChecksDocument } from '../../core/operation-documents.ts';
import type { Call } from '../call.ts';
import { checkAll } from '../doctor.ts';
import { operationCall } from '../operation-call.ts';

/** `doctor`: exit 1 where something must be mended first; warnings alone leave it at 0. */
export async function doctor(call: Call): Promise<number> {
  const { settings, config } = operationCall(call, []);
  const document: ChecksDocument = { checks: await checkAll(settings, config) };
  call.output.document(document, () =>
    document.checks
      .map(({ id, severity, ok, found, remedy }) => {
        const label = ok ? 'ok   ' : severity === 'block' ? 'BLOCK' : 'warn ';
        return `${label} ${id}: ${found}\n${ok ? '' : `        try: ${remedy}\n`}`;
      })
      .join(''),
  );
  return document.checks.some(({ ok, severity }) => !ok && severity === 'block') ? 1 : 0;
}
