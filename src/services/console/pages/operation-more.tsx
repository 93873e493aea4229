import { useState } from 'preact/hooks';
import type { Change, OperationDescription } from '../../query/contract.ts';
import { countedChanges, nameOf } from '../model/operations.ts';
import { RefusalBox } from '../parts/bits.tsx';
import { copyText } from '../state/hand-out.ts';
import { run, startUndo } from '../state/operations.ts';
import { pulse } from '../state/pulse.ts';
import { Confirm } from './operation-confirm.tsx';
import { ChangeList } from './operation-plan.tsx';

/** What taking it back would remove, and the button for it; what the serving process uses is for the command line. */
export function OperationUndo({
  path,
  undo: { changes, refusal, isInUse },
}: {
  readonly path: string;
  readonly undo: NonNullable<OperationDescription['undo']>;
}) {
  return (
    <details class="more">
      <summary>Take it back</summary>
      {refusal === null ? null : <RefusalBox refusal={refusal} />}
      <ChangeList changes={changes} />
      {isInUse ? <OnTheCommandLine path={path} /> : null}
      {refusal !== null || isInUse ? null : changes.length === 0 ? (
        <p class="quiet">There is nothing to take back.</p>
      ) : (
        <UndoButton path={path} changes={changes} />
      )}
    </details>
  );
}

function UndoButton({ path, changes }: { readonly path: string; readonly changes: readonly Change[] }) {
  const [isAsking, setIsAsking] = useState(false);
  return (
    <>
      <button
        type="button"
        class="button"
        disabled={run.value?.isRunning === true}
        onClick={() => setIsAsking(true)}
        data-do="undo"
      >
        Undo
      </button>
      {isAsking ? (
        <Confirm
          title={`Take ${nameOf(path)} back?`}
          action="Undo now"
          onConfirm={typed => void startUndo(path, typed)}
          onClose={() => setIsAsking(false)}
        >
          <p>
            On <b>{pulse.value?.status.environment ?? 'this environment'}</b>:{' '}
            {countedChanges(changes.length)} to make. Running it again puts it back.
          </p>
          <p class="quiet">What serves this page goes on with it as it is.</p>
        </Confirm>
      ) : null}
    </>
  );
}

function OnTheCommandLine({ path }: { readonly path: string }) {
  const command = `millrace down && millrace undo ${path}`;
  return (
    <>
      <p>It is in use by what serves this page, so it is taken back on the command line, once that ended:</p>
      <p class="command">
        <code>{command}</code>
        <button type="button" class="button is-small" onClick={() => copyText(command)}>
          Copy
        </button>
      </p>
    </>
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
