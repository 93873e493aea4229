import type { Change, PlanDocument } from '../../query/contract.ts';
import { countedChanges, nameOf } from '../model/operations.ts';
import { linkTo } from '../state/place.ts';

/** What a run would do, as a difference: operation by operation, step by step, before and after. */
export function PlanView({ plan: { plan, changes } }: { readonly plan: PlanDocument }) {
  return (
    <div class="plan">
      <h3>
        Plan <span class="quiet">{changes === 0 ? '' : countedChanges(changes)}</span>
      </h3>
      {changes === 0 ? <p class="quiet">All is as it should be.</p> : null}
      {plan.map(({ operation, changes: own }) => (
        <div key={operation} class="plan-operation">
          <p>
            <a href={linkTo(['operations'], { path: operation })} title={operation}>
              {nameOf(operation)}
            </a>
          </p>
          <ChangeList changes={own} />
        </div>
      ))}
    </div>
  );
}

/** Changes as lines of a difference: `−` what is there, `+` what will be. */
export function ChangeList({ changes }: { readonly changes: readonly Change[] }) {
  return (
    <ul class="diff">
      {changes.map(({ step, what, before, after }) => (
        <li key={step}>
          <p class="diff-step">
            <code>{step}</code> {what}
          </p>
          {before === null ? null : <Line sign="−" tone="before" word="is" text={before} />}
          {after === null ? null : <Line sign="+" tone="after" word="will be" text={after} />}
        </li>
      ))}
    </ul>
  );
}

function Line({
  sign,
  tone,
  word,
  text,
}: {
  readonly sign: string;
  readonly tone: string;
  readonly word: string;
  readonly text: string;
}) {
  return (
    <p class={`diff-line is-${tone}`}>
      <span aria-hidden="true">{sign}</span>
      <span class="sr-only">{word} </span>
      {text}
    </p>
  );
}
