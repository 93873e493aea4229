import type { OperationDescription } from '../../query/contract.ts';
import { RefusalBox } from '../parts/bits.tsx';
import { copyText } from '../state/hand-out.ts';
import { ChangeList } from './operation-plan.tsx';

/**
 * What taking it back would remove. It is done on the command line alone: an environment that is served, as by the
 * process that answers here, is not taken apart.
 */
export function OperationUndo({
  path,
  undo: { changes, refusal },
}: {
  readonly path: string;
  readonly undo: NonNullable<OperationDescription['undo']>;
}) {
  const command = `millrace down && millrace undo ${path}`;
  // What only its owner can look into is asked again when nothing owns it.
  const isOwned = refusal?.code === 'ERR_OWNED';
  return (
    <details class="more">
      <summary>Take it back</summary>
      {refusal === null || isOwned ? null : <RefusalBox refusal={refusal} />}
      <ChangeList changes={changes} />
      {refusal === null && changes.length === 0 ? <p class="quiet">There is nothing to take back.</p> : null}
      {changes.length === 0 && !isOwned ? null : (
        <>
          <p>
            It is in use by what serves this page, so it is taken back on the command line, once that ended:
          </p>
          <p class="command">
            <code>{command}</code>
            <button type="button" class="button is-small" onClick={() => copyText(command)}>
              Copy
            </button>
          </p>
        </>
      )}
    </details>
  );
}

/** What became of the original's parameters. */
export function Parameters({ parameters }: Pick<OperationDescription, 'parameters'>) {
  if (parameters.length === 0) return null;
  return (
    <details class="more">
      <summary>The original's parameters</summary>
      <div class="table-scroll">
        <table class="table">
          <thead>
            <tr>
              <th>Original</th>
              <th>Here</th>
              <th>Because</th>
            </tr>
          </thead>
          <tbody>
            {parameters.map(({ original, flag, because }) => (
              <tr key={original}>
                <td class="mono">{original}</td>
                <td class="mono">{flag ?? 'gone'}</td>
                <td>{because}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
