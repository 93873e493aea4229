import type {
  ReceiptDocument,
  ReceiptsDocument,
  RunDocument,
  RunVerb,
} from '../../core/operation-documents.ts';
import type { ReceiptEntry } from '../../core/receipts.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { formatDuration, formatTable, formatTime } from '../format.ts';
import { operationCall } from '../operation-call.ts';

const LIMIT_MAX = 1_000_000;
const DONE_AS: Readonly<Record<RunVerb, string>> = { run: '', undo: 'undone, ', restart: 'restarted, ' };

/** `receipts [PATH…]`: newest first; exit 1 where the file is not what was written. */
export async function listReceipts(call: Call): Promise<number> {
  const { settings, config, paths } = operationCall(call, call.args);
  const named = new Set(paths);
  const concerns = (entry: ReceiptEntry) => named.size === 0 || isOf(entry, named);
  const limit = call.integer('limit', 1, LIMIT_MAX) ?? LIMIT_MAX;
  const { entries, intact } = await (await openOperations({ settings, config })).receipts.read();
  const newest = entries.filter(concerns).reverse();
  const document: ReceiptsDocument = {
    receipts: newest.filter(isReceipt).slice(0, limit).map(withoutKind),
    runs: newest.filter(isRun).slice(0, limit).map(withoutKind),
    intact,
  };
  call.output.document(document, () => receiptsText(document));
  return intact ? 0 : 1;
}

/** A run concerns what it was asked for; one of everything, all. */
function isOf(entry: ReceiptEntry, named: ReadonlySet<string>): boolean {
  if (entry.kind === 'receipt') return named.has(entry.operation);
  return entry.paths.length === 0 || entry.paths.some(path => named.has(path));
}

function isReceipt(entry: ReceiptEntry): entry is ReceiptDocument & { readonly kind: 'receipt' } {
  return entry.kind === 'receipt';
}

function isRun(entry: ReceiptEntry): entry is RunDocument & { readonly kind: 'run' } {
  return entry.kind === 'run';
}

function withoutKind<T extends { readonly kind: string }>({ kind: _, ...entry }: T): Omit<T, 'kind'> {
  return entry;
}

function receiptsText({ receipts, intact }: ReceiptsDocument): string {
  const table = formatTable(
    [
      { title: 'TIME' },
      { title: 'OPERATION' },
      { title: 'OUTCOME' },
      { title: 'TOOK' },
      { title: 'WHO' },
      { title: 'ID' },
    ],
    receipts.map(row => [
      formatTime(row.startedAtMs),
      row.operation,
      `${DONE_AS[row.verb]}${row.outcome}`,
      formatDuration(row.durationMs),
      row.who,
      row.id,
    ]),
    'No receipt yet.',
  );
  return intact ? table : `${table}NOT intact: an entry is not what was written\n`;
}
