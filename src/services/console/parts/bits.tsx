import type { ComponentChildren } from 'preact';
import type { EventOutcome } from '../../query/contract.ts';
import { formatAgo, formatTime, formatUtc } from '../model/format.ts';
import type { Refusal } from '../state/api.ts';
import { nowMs } from '../state/clock.ts';

/** The head of a page: its name, what it is for, and what can be done on it. */
export function PageHead({
  title,
  children,
}: {
  readonly title: ComponentChildren;
  readonly children?: ComponentChildren;
}) {
  return (
    <header class="page-head">
      <h1 tabIndex={-1}>{title}</h1>
      <div class="page-actions">{children}</div>
    </header>
  );
}

/** A box with a heading. */
export function Panel({
  title,
  aside,
  children,
}: {
  readonly title: ComponentChildren;
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  return (
    <section class="panel">
      <div class="panel-head">
        <h2>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

/** A time in the viewer's zone; UTC at hand when pointed at. */
export function Time({ ms }: { readonly ms: number }) {
  return (
    <time dateTime={formatUtc(ms)} title={`${formatUtc(ms)} (UTC)`}>
      {formatTime(ms, nowMs.value)}
    </time>
  );
}

/** How long ago a time was; the time itself when pointed at. */
export function Ago({ ms }: { readonly ms: number }) {
  return (
    <time dateTime={formatUtc(ms)} title={`${formatUtc(ms)} (UTC)`}>
      {formatAgo(ms, nowMs.value)}
    </time>
  );
}

const OUTCOME_WORDS: Readonly<Record<EventOutcome, readonly [word: string, tone: string]>> = {
  emit: ['kept', 'ok'],
  reject: ['rejected', 'bad'],
  drop: ['dropped', 'warn'],
  duplicate: ['duplicate', 'warn'],
};

/** What became of an event, as a word with a sign. */
export function OutcomeTag({ outcome }: { readonly outcome: EventOutcome }) {
  const [word, tone] = OUTCOME_WORDS[outcome];
  return <Tag tone={tone}>{word}</Tag>;
}

/** A word with a dot in the colour of its tone: `ok`, `warn`, `bad`, `muted`. The word alone says it too. */
export function Tag({ tone, children }: { readonly tone: string; readonly children: ComponentChildren }) {
  return (
    <span class={`tag is-${tone}`}>
      <i aria-hidden="true" />
      {children}
    </span>
  );
}

/** Why something was not answered, and what to do. */
export function RefusalBox({ refusal }: { readonly refusal: Refusal }) {
  return (
    <div class="note is-bad" role="alert">
      <p>
        <b>{refusal.message}</b>
        {refusal.why === '' ? '' : `: ${refusal.why}`}
      </p>
      <p>{refusal.remedy}</p>
      <p class="quiet mono">{refusal.code}</p>
    </div>
  );
}

/** A place where something will be, with what to do meanwhile. */
export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** A name and its value, in a list of facts. */
export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
