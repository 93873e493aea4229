import type { ReceiptDocument, ReceiptOutcome, ReceiptsDocument, RunVerb } from '../../query/contract.ts';
import { formatSpan } from '../model/format.ts';
import { countedChanges, nameOf } from '../model/operations.ts';
import { Fact, RefusalBox, Tag, Time } from '../parts/bits.tsx';
import { ChangeList } from './operation-plan.tsx';

const DONE_AS: Readonly<Record<RunVerb, string>> = { run: '', undo: 'taken back, ', restart: 'restarted, ' };
const TONES: Readonly<Record<ReceiptOutcome, string>> = {
  applied: 'ok',
  partial: 'info',
  unchanged: 'muted',
  failed: 'bad',
};

/** What was done, newest first; each opens to what it changed and what verification saw. */
export function Receipts({
  document: { receipts, intact },
  isOne,
}: {
  readonly document: ReceiptsDocument;
  readonly isOne: boolean;
}) {
  return (
    <div class="receipts">
      <h3>
        Receipts <span class="quiet">{receipts.length === 0 ? '' : 'newest first'}</span>
      </h3>
      {intact ? null : (
        <p class="note is-bad" role="alert">
          <b>The receipts are not intact:</b> an entry is not what was written.
        </p>
      )}
      {receipts.length === 0 ? <p class="quiet">Nothing was done here yet.</p> : null}
      <ul>
        {receipts.map(receipt => (
          <li key={receipt.id}>
            <Receipt receipt={receipt} isOne={isOne} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Receipt({ receipt, isOne }: { readonly receipt: ReceiptDocument; readonly isOne: boolean }) {
  const { outcome, verb, startedAtMs, durationMs, who, changes, error, operation } = receipt;
  return (
    <details class="receipt" data-receipt={receipt.id}>
      <summary>
        <Tag tone={TONES[outcome]}>{`${DONE_AS[verb]}${outcome}`}</Tag>
        {isOne ? null : <b>{nameOf(operation)}</b>}
        <span class="quiet">
          <Time ms={startedAtMs} /> by {who}, {countedChanges(changes.length)}
        </span>
      </summary>
      {error === null ? null : <RefusalBox refusal={error} />}
      <dl class="facts">
        <Fact name="Took">{durationMs < 1000 ? `${durationMs} ms` : formatSpan(durationMs)}</Fact>
        <Fact name="Release">
          <code>{receipt.releaseDigest.slice(0, 12)}</code>
        </Fact>
        <Fact name="Configuration">
          <code>{receipt.configDigest.slice(0, 12)}</code>
        </Fact>
        <Fact name="Receipt">
          <code>{receipt.id}</code>
        </Fact>
      </dl>
      <ChangeList changes={changes} />
      <pre class="observed">{JSON.stringify(receipt.observed, null, 1)}</pre>
    </details>
  );
}
