import { useEffect, useRef, useState } from 'preact/hooks';
import type { OperationDescription, PlanDocument, ReceiptsDocument } from '../../query/contract.ts';
import { countedChanges, nameOf, type Selection, STATE_TONES } from '../model/operations.ts';
import { Fact, RefusalBox, Tag } from '../parts/bits.tsx';
import { Icon } from '../parts/icons.tsx';
import { apiPath, read, useAnswer } from '../state/api.ts';
import { looks, run, startRun } from '../state/operations.ts';
import { linkTo, place, setFilters } from '../state/place.ts';
import { pulse } from '../state/pulse.ts';
import { Confirm } from './operation-confirm.tsx';
import { OperationUndo, Parameters } from './operation-more.tsx';
import { PlanView } from './operation-plan.tsx';
import { Receipts } from './operation-receipts.tsx';
import { RunPanel } from './operation-run.tsx';

const RECEIPTS_MAX = 20;

/** What is selected: what a run would do, the run itself, and what earlier ones did. Closed by Escape. */
export function OperationDrawer({ selection }: { readonly selection: Selection }) {
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus({ preventScroll: true }), []);
  const [isAsking, setIsAsking] = useState(false);
  const paths = selection.operations.map(({ path }) => path);
  const plan = usePlan(paths);
  const isRunning = run.value?.isRunning === true;
  return (
    <section
      class="drawer operation-drawer"
      aria-label={selection.title}
      onKeyDown={event => {
        if (event.key === 'Escape' && !isAsking) close();
      }}
    >
      <button type="button" class="button is-quiet drawer-close" aria-label="Close" onClick={close}>
        <Icon name="close" />
      </button>
      <h2 class="drawer-title" tabIndex={-1} ref={title}>
        {selection.title}
        {selection.one === undefined ? null : (
          <Tag tone={STATE_TONES[selection.one.state]}>{selection.one.state}</Tag>
        )}
      </h2>
      {selection.one === undefined ? null : <Head selection={selection} />}
      <div class="drawer-actions">
        <button
          type="button"
          class="button is-main"
          disabled={isRunning}
          onClick={() => setIsAsking(true)}
          data-do="run"
        >
          {selection.operations.length === 1 ? 'Run' : `Run ${selection.operations.length} operations`}
        </button>
        <span class="quiet">{isRunning ? 'one run at a time' : planLine(plan)}</span>
      </div>
      <RunPanel paths={paths} />
      {plan !== undefined && 'refusal' in plan ? <RefusalBox refusal={plan.refusal} /> : null}
      {plan !== undefined && 'value' in plan ? <PlanView plan={plan.value} /> : null}
      {selection.one === undefined ? null : <Details key={selection.one.path} path={selection.one.path} />}
      <History paths={paths} isOne={selection.one !== undefined} />
      {isAsking ? (
        <Confirm
          title={`Run ${selection.one === undefined ? selection.title : nameOf(selection.one.path)}?`}
          action="Run now"
          onConfirm={typed => void startRun(paths, typed)}
          onClose={() => setIsAsking(false)}
        >
          <p>
            On <b>{pulse.value?.status.environment ?? 'this environment'}</b>: {planLine(plan)}.
          </p>
          <p class="quiet">
            What it needs and is not in place runs first. Each operation is looked at, applied, verified, and
            leaves a receipt.
          </p>
        </Confirm>
      ) : null}
    </section>
  );
}

/** Back to the row that it was opened from. */
function close(): void {
  const { path = '' } = place.value.query;
  setFilters({ path: undefined });
  document.querySelector<HTMLElement>(`[data-path="${CSS.escape(path)}"]`)?.focus();
}

type PlanAnswer = ReturnType<typeof useAnswer<PlanDocument>>['answer'];

function usePlan(paths: readonly string[]): PlanAnswer {
  const path = paths.join(',');
  return useAnswer<PlanDocument>(`${looks.value} ${path}`, signal =>
    read<PlanDocument>(apiPath('/v1/plan', { path }), signal),
  ).answer;
}

function planLine(plan: PlanAnswer): string {
  if (plan === undefined) return 'looking at what is there';
  if ('refusal' in plan) return '';
  return plan.value.changes === 0 ? 'nothing to do' : `${countedChanges(plan.value.changes)} to make`;
}

function Head({ selection: { one } }: { readonly selection: Selection }) {
  const { path, does, target, needs, missing } = one!;
  return (
    <>
      <p class="operation-path mono">{path}</p>
      <p class="operation-purpose">{does}</p>
      <dl class="facts operation-facts">
        <Fact name="Target">{target}</Fact>
        {missing.length === 0 ? null : <Fact name="Not in this release">{missing.join(', ')}</Fact>}
        <div class="fact is-long">
          <dt>Needs</dt>
          <dd>
            {needs.length === 0
              ? 'nothing'
              : needs.map((need, index) => (
                  <span key={need}>
                    {index === 0 ? '' : ', '}
                    <a href={linkTo(['operations'], { path: need })} title={need}>
                      {nameOf(need)}
                    </a>
                  </span>
                ))}
          </dd>
        </div>
      </dl>
    </>
  );
}

/** What `describe` adds: what stands in, what was seen, how it is taken back, the original's parameters. */
function Details({ path }: { readonly path: string }) {
  const { answer } = useAnswer(`${looks.value} ${path}`, signal =>
    read<OperationDescription>(apiPath('/v1/operation', { path }), signal),
  );
  if (answer === undefined) return <div class="details-wait" />;
  if ('refusal' in answer) return <RefusalBox refusal={answer.refusal} />;
  const { standIn, observed, undo, parameters } = answer.value;
  return (
    <>
      {standIn === null ? null : (
        <p class="operation-stand-in">
          <b>Stands in:</b> {standIn}
        </p>
      )}
      <details class="more">
        <summary>What was seen</summary>
        <pre class="observed">{JSON.stringify(observed, null, 1)}</pre>
      </details>
      {undo === null ? null : <OperationUndo path={path} undo={undo} />}
      <Parameters parameters={parameters} />
    </>
  );
}

function History({ paths, isOne }: { readonly paths: readonly string[]; readonly isOne: boolean }) {
  const path = paths.join(',');
  const { answer } = useAnswer(`${looks.value} ${path}`, signal =>
    read<ReceiptsDocument>(apiPath('/v1/receipts', { path, limit: RECEIPTS_MAX }), signal),
  );
  if (answer === undefined) return null;
  if ('refusal' in answer) return <RefusalBox refusal={answer.refusal} />;
  return <Receipts document={answer.value} isOne={isOne} />;
}
