import type { FailedDocument, FailedEventDocument } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { formatPairs, formatTable, formatTime } from '../format.ts';
import { askDocument, findServer } from '../http-client.ts';
import { parseTime } from '../parse-time.ts';

/** `failed list`. */
export async function listFailed(call: Call): Promise<undefined> {
  const document = await askDocument<FailedDocument>(findServer(call.settings), {
    path: '/v1/failed',
    query: {
      code: call.text('code'),
      job: call.text('job'),
      fromMs: timeOf(call, 'from'),
      toMs: timeOf(call, 'to'),
      limit: call.integer('limit', 1, 1000) ?? 50,
      after: call.text('after'),
    },
  });
  call.output.document(document, () => failedText(document));
}

/** `failed show ID`. */
export async function showFailed(call: Call): Promise<undefined> {
  const path = `/v1/failed/${encodeURIComponent(call.arg(0))}`;
  const row = await askDocument<FailedEventDocument>(findServer(call.settings), { path });
  call.output.document(row, () => {
    const head = formatPairs([
      ['id', row.id],
      ['time', formatTime(row.timeMs)],
      ['job', row.job],
      ['code', row.code],
      ['reason', row.reason],
      ['pointer', row.pointer ?? '(no single field)'],
      ['mid', row.mid ?? '(none)'],
    ]);
    return `${head}\n${JSON.stringify(row.event, null, 2)}\n`;
  });
}

function failedText({ failed, next }: FailedDocument): string {
  const table = formatTable(
    [{ title: 'TIME' }, { title: 'JOB' }, { title: 'CODE' }, { title: 'POINTER' }, { title: 'ID' }],
    failed.map(row => [formatTime(row.timeMs), row.job, row.code, row.pointer ?? '', row.id]),
    'No rejected event.',
  );
  return next === null ? table : `${table}More: --after ${next}\n`;
}

function timeOf(call: Call, name: string): number | undefined {
  const text = call.text(name);
  if (text === undefined) return undefined;
  const timeMs = parseTime(text);
  if (timeMs !== undefined) return timeMs;
  throw new MillraceError('ERR_USAGE', `--${name} must be ISO 8601 or epoch milliseconds, is "${text}"`);
}
