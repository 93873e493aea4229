import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { bareName } from '../model/format.ts';
import { ALL, folderOf, nameOf } from '../model/operations.ts';
import { canSample, curlText, sendSample } from '../pages/first-run.tsx';
import { copyText, say } from '../state/hand-out.ts';
import { lookAgain, operations } from '../state/operations.ts';
import { goTo } from '../state/place.ts';
import { pulse } from '../state/pulse.ts';
import { nextTheme } from '../state/theme.ts';

/** Something the palette can do. */
interface Command {
  readonly name: string;
  readonly kind: string;
  readonly run: () => void;
}

const SHOWN_MAX = 12;

/** A box over the page: type to find a page, a job, a topic, an event or something to do. Closed by Escape. */
export function Palette({ onClose }: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState('');
  const [active, setActive] = useState(0);
  // Before anything else happens: what is typed right after the shortcut must land in the box.
  useLayoutEffect(() => {
    dialog.current?.showModal();
    if (operations.value === undefined) void lookAgain();
  }, []);
  // Made anew at each render: what the pipeline has is heard of after the page opens, and may be heard of later.
  const found = matching(allCommands(), text);
  const run = (command: Command | undefined): void => {
    if (command === undefined) return;
    dialog.current?.close();
    command.run();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step !== 0) {
      event.preventDefault();
      setActive((active + step + found.length) % Math.max(1, found.length));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      run(found[active]);
    }
  };
  return (
    <dialog
      ref={dialog}
      class="palette"
      aria-label="Find and do"
      onClose={onClose}
      onClick={event => {
        if (event.target === dialog.current) dialog.current?.close();
      }}
    >
      <input
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[active] === undefined ? undefined : `palette-${active}`}
        aria-label="Find and do"
        placeholder="Page, job, topic, operation, or the id of an event"
        spellcheck={false}
        autocomplete="off"
        value={text}
        onInput={event => {
          setText(event.currentTarget.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div id="palette-list" class="palette-list" role="listbox" aria-label="Found">
        {found.map((command, index) => (
          <div
            key={`${command.kind}${command.name}`}
            id={`palette-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === active}
            class={index === active ? 'palette-item is-active' : 'palette-item'}
            onClick={() => run(command)}
            onPointerMove={() => setActive(index)}
          >
            <span>{command.name}</span>
            <span class="quiet">{command.kind}</span>
          </div>
        ))}
      </div>
    </dialog>
  );
}

const SAMPLE: Command = {
  name: 'Send 100 sample events',
  kind: 'do',
  run: () => void sendSample().then(why => why !== undefined && say(why.message)),
};

function allCommands(): readonly Command[] {
  const now = pulse.value;
  const page = (name: string, ...path: readonly string[]): Command => ({
    name,
    kind: 'page',
    run: () => goTo(path),
  });
  const act = (name: string, run: () => void): Command => ({ name, kind: 'do', run });
  return [
    page('Pipeline'),
    page('Events', 'events'),
    page('Rejected', 'rejected'),
    page('Query', 'query'),
    page('Operations', 'operations'),
    page('Health', 'health'),
    ...(canSample() ? [SAMPLE] : []),
    act('Copy a curl line', () => copyText(curlText())),
    act('Switch light and dark', nextTheme),
    ...(now?.status.conservation ?? []).map(({ job }) => ({
      name: job,
      kind: 'job',
      run: () => goTo(['jobs', job]),
    })),
    ...(now?.topics ?? []).map(({ topic }) => {
      const name = bareName(now?.status.environment ?? '', topic);
      return { name, kind: 'topic', run: () => goTo(['topics', name]) };
    }),
    ...operationCommands(),
  ];
}

function operationCommands(): readonly Command[] {
  return [
    { name: 'Plan every operation', kind: 'do', run: () => goTo(['operations'], { path: ALL }) },
    ...(operations.value ?? []).map(({ path }) => ({
      name: `${folderOf(path)} ${nameOf(path)}`,
      kind: 'operation',
      run: () => goTo(['operations'], { path }),
    })),
  ];
}

/** Commands that hold every word of the text; what is no command may be the id of an event, a device or a kind. */
function matching(all: readonly Command[], text: string): readonly Command[] {
  const typed = text.trim();
  const words = typed.toLowerCase().split(/\s+/);
  const found = all.filter(({ name, kind }) =>
    words.every(word => `${name} ${kind}`.toLowerCase().includes(word)),
  );
  if (typed === '') return found.slice(0, SHOWN_MAX);
  const searches = [
    { name: `Event ${typed}`, kind: 'by mid', run: () => goTo(['events'], { mid: typed }) },
    { name: `Events of device ${typed}`, kind: 'by did', run: () => goTo(['events'], { did: typed }) },
    {
      name: `Events of kind ${typed.toUpperCase()}`,
      kind: 'by eid',
      run: () => goTo(['events'], { eid: typed.toUpperCase() }),
    },
    { name: `Events of user ${typed}`, kind: 'by user', run: () => goTo(['events'], { user: typed }) },
  ];
  return [...found.slice(0, SHOWN_MAX - searches.length), ...searches];
}
