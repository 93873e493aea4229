import type { ReceiptDocument, RunDocument } from './operation-documents.ts';

/** An entry of the receipts: of an operation, or of a run as a whole. */
export type ReceiptEntry =
  | ({ readonly kind: 'receipt' } & ReceiptDocument)
  | ({ readonly kind: 'run' } & RunDocument);

/** Where receipts are kept: entries are added at the end and never changed. */
export interface ReceiptLog {
  /** Oldest first. `intact` is false where an entry is not the one that the next was written after. */
  read(): Promise<{ readonly entries: readonly ReceiptEntry[]; readonly intact: boolean }>;
  /** Durable when it resolves. One writer at a time: whoever holds the lock of operations. */
  append(entry: ReceiptEntry): Promise<void>;
}
