import { useEffect } from 'preact/hooks';
import type { OperationDocument } from '../../query/contract.ts';
import {
  ALL,
  type Folder,
  foldersOf,
  nameOf,
  STATE_TONES,
  selectionOf,
  tallyOf,
} from '../model/operations.ts';
import { Ago, Empty, PageHead, RefusalBox, Tag } from '../parts/bits.tsx';
import {
  joinRun,
  lookAgain,
  lookedAtMs,
  lookRefusal,
  marksOf,
  operations,
  type RunMark,
  run,
} from '../state/operations.ts';
import { place, setFilters } from '../state/place.ts';
import { OperationDrawer } from './operation-drawer.tsx';

/** Looks are taken while the page is seen: what is drifted by hand shows without asking. */
const LOOK_MS = 20_000;

/**
 * The operations as the documentation lists them, folder by folder, each with what was seen of it just now; one of
 * them, a folder or all opens beside the list with its plan.
 */
export function OperationsPage() {
  useLooks();
  const { query } = place.value;
  const all = operations.value ?? [];
  const selected = query['path'];
  const selection = selectionOf(selected, all);
  const marks = run.value === null ? new Map<string, RunMark>() : marksOf(run.value);
  return (
    <>
      <PageHead title="Operations">
        <button type="button" class="button" onClick={() => void lookAgain()}>
          Look again
        </button>
        <button type="button" class="button is-main" data-path={ALL} onClick={() => open(ALL)}>
          Plan all
        </button>
      </PageHead>
      <p class="lead">{all.length === 0 ? 'Looking at every operation' : <Lead all={all} />}</p>
      {lookRefusal.value === undefined ? null : <RefusalBox refusal={lookRefusal.value} />}
      <div class={selected === undefined ? 'split is-auto' : 'split is-auto is-open'}>
        <div class={selected === undefined ? 'operations is-wide' : 'operations'}>
          {foldersOf(all).map(folder => (
            <FolderBox key={folder.name} folder={folder} selected={selected} marks={marks} />
          ))}
          {all.length === 0 ? <Waiting /> : null}
        </div>
        {selection === undefined ? null : <OperationDrawer key={selected} selection={selection} />}
        {selection === undefined && selected !== undefined && all.length > 0 ? (
          <div class="drawer">
            <Empty title={`There is no operation ${selected}`} />
          </div>
        ) : null}
      </div>
    </>
  );
}

/** Takes a look when the page opens, when it is come back to, and now and then while it is seen. */
function useLooks(): void {
  useEffect(() => {
    const look = (): void => {
      if (document.visibilityState === 'visible') void lookAgain();
    };
    void joinRun();
    look();
    const timer = setInterval(look, LOOK_MS);
    document.addEventListener('visibilitychange', look);
    addEventListener('focus', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
      removeEventListener('focus', look);
    };
  }, []);
}

/** Opens a selection, or closes it where it is open. */
function open(path: string): void {
  setFilters({ path: place.value.query['path'] === path ? undefined : path });
}

function Lead({ all }: { readonly all: readonly OperationDocument[] }) {
  return (
    <>
      In the documentation's order: {tallyOf(all)}, looked at <Ago ms={lookedAtMs.value} />.
    </>
  );
}

/** Keeps the height of the list while it is read for the first time. */
function Waiting() {
  return <div class="operations-wait" role="status" aria-label="Looking at the operations" />;
}

function FolderBox({
  folder: { name, operations: own },
  selected,
  marks,
}: {
  readonly folder: Folder;
  readonly selected: string | undefined;
  readonly marks: ReadonlyMap<string, RunMark>;
}) {
  return (
    <section class="folder" aria-label={name}>
      <div class="folder-head">
        <h2>{name}</h2>
        <span class="quiet">{tallyOf(own)}</span>
        <button
          type="button"
          class={selected === name ? 'button is-small is-on' : 'button is-small'}
          aria-label={`Plan ${name}`}
          data-path={name}
          aria-pressed={selected === name}
          onClick={() => open(name)}
        >
          Plan
        </button>
      </div>
      <ul>
        {own.map(operation => (
          <li key={operation.path}>
            <Row
              operation={operation}
              isSelected={selected === operation.path}
              mark={marks.get(operation.path)}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Row({
  operation: { path, title, does, state, missing, last },
  isSelected,
  mark,
}: {
  readonly operation: OperationDocument;
  readonly isSelected: boolean;
  readonly mark: RunMark | undefined;
}) {
  return (
    <button
      type="button"
      class={isSelected ? 'operation is-selected' : 'operation'}
      aria-pressed={isSelected}
      data-path={path}
      onClick={() => open(path)}
    >
      <span class="operation-name">
        <b>{nameOf(path)}</b> <span class="quiet">{title}</span>
      </span>
      <span class="operation-does quiet">{does}</span>
      <span class="operation-state">
        {mark === 'running' ? <Tag tone="info">running</Tag> : <Tag tone={STATE_TONES[state]}>{state}</Tag>}
      </span>
      <span class="operation-last quiet">
        {state === 'partial' ? <span class="operation-missing">without {missing.join(', ')}</span> : null}
        {last === null ? (
          'no receipt'
        ) : (
          <span>
            <Ago ms={last.startedAtMs} /> by {last.who}
          </span>
        )}
      </span>
    </button>
  );
}
