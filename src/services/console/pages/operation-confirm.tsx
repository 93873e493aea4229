import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { nameToType } from '../state/operations.ts';

/**
 * Asks before anything is changed, and for the environment's name where it is protected; Enter does it, Escape leaves
 * all as it is.
 */
export function Confirm({
  title,
  action,
  onConfirm,
  onClose,
  children,
}: {
  /** A question. */
  readonly title: string;
  /** What the button says. */
  readonly action: string;
  /** With the name as it was typed; undefined where none is wanted. */
  readonly onConfirm: (typed: string | undefined) => void;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  // Before it is painted: what is typed at once goes into its field.
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const [typed, setTyped] = useState('');
  const wanted = nameToType.value;
  const isReady = wanted === undefined || typed.trim() === wanted;
  const confirm = (): void => {
    dialog.current?.close();
    onConfirm(wanted === undefined ? undefined : typed.trim());
  };
  return (
    <dialog
      ref={dialog}
      class="confirm"
      aria-label={title}
      onClose={onClose}
      onKeyDown={event => {
        // It closes the question, not what lies behind it.
        if (event.key === 'Escape') event.stopPropagation();
      }}
    >
      <h2>{title}</h2>
      {children}
      <form
        method="dialog"
        onSubmit={event => {
          event.preventDefault();
          if (isReady) confirm();
        }}
      >
        {wanted === undefined ? null : (
          <label class="field">
            It is protected. Type its name to go on.
            <input
              type="text"
              autofocus
              spellcheck={false}
              autocomplete="off"
              value={typed}
              onInput={event => setTyped(event.currentTarget.value)}
            />
          </label>
        )}
        <div class="confirm-actions">
          <button type="button" class="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button
            type="submit"
            class="button is-main"
            autofocus={wanted === undefined}
            disabled={!isReady}
            data-do="confirm"
          >
            {action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
