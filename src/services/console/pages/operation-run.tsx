import { useEffect, useRef } from 'preact/hooks';
import type { RunEvent, RunVerb } from '../../query/contract.ts';
import { formatSpan, formatTime } from '../model/format.ts';
import { countedChanges, nameOf } from '../model/operations.ts';
import { RefusalBox, Tag } from '../parts/bits.tsx';
import { post } from '../state/api.ts';
import { nowMs } from '../state/clock.ts';
import { say } from '../state/hand-out.ts';
import { type FollowedRun, run } from '../state/operations.ts';

const WORDS: Readonly<Record<RunVerb, string>> = { run: 'Run', undo: 'Undo', restart: 'Restart' };

/** The log of the run that goes on, or of the last one where it was asked for what is selected. */
export function RunPanel({ paths }: { readonly paths: readonly string[] }) {
  const now = run.value;
  if (now === null) return null;
  const isOwn = now.paths.some(path => paths.includes(path));
  if (!now.isRunning && !isOwn) return null;
  return (
    <div class="run" role="region" aria-label="Run">
      <div class="run-head">
        <h3>{isOwn ? WORDS[now.verb] : `${WORDS[now.verb]} of ${now.paths.map(nameOf).join(', ')}`}</h3>
        <span role="status">
          <Outcome run={now} />
        </span>
        {now.isRunning ? null : <span class="quiet">{formatTime(now.startedAtMs, nowMs.value)}</span>}
        {now.isRunning ? <CancelButton /> : null}
      </div>
      {now.refusal === undefined ? null : <RefusalBox refusal={now.refusal} />}
      {now.summary?.error === undefined ? null : <RefusalBox refusal={now.summary.error} />}
      {now.events.length === 0 ? null : <Log events={now.events} />}
    </div>
  );
}

function Outcome({ run: { verb, isRunning, startedAtMs, summary } }: { readonly run: FollowedRun }) {
  if (isRunning) {
    const ms = Math.max(0, nowMs.value - startedAtMs);
    return <Tag tone="info">running, {formatSpan(ms)}</Tag>;
  }
  if (summary === undefined) return <Tag tone="bad">not run</Tag>;
  if (!summary.ok) return <Tag tone="bad">failed after {countedChanges(summary.changes)}</Tag>;
  if (summary.changes === 0) return <Tag tone="ok">unchanged: nothing was to be done</Tag>;
  const how = verb === 'undo' ? 'taken back' : 'applied and verified';
  return (
    <Tag tone="ok">
      {countedChanges(summary.changes)} {how}
    </Tag>
  );
}

function CancelButton() {
  const cancel = async (): Promise<void> => {
    const answer = await post<{ readonly cancelled: boolean }>('/v1/run/cancel');
    if ('refusal' in answer) say(answer.refusal.message);
    else say(answer.value.cancelled ? 'It ends at its next step' : 'It has ended already');
  };
  return (
    <button type="button" class="button is-small" onClick={() => void cancel()}>
      Cancel the run
    </button>
  );
}

/** Scrolls with what comes, unless the viewer has scrolled back. */
function Log({ events }: { readonly events: readonly RunEvent[] }) {
  const frame = useRef<HTMLOListElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    if (follows.current) frame.current?.scrollTo({ top: frame.current.scrollHeight });
  }, [events.length]);
  return (
    <ol
      ref={frame}
      class="run-log"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reached by the keyboard.
      tabIndex={0}
      aria-label="Log of the run"
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        follows.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      {events.map((event, index) => (
        <li key={index} class={`run-line is-${event.outcome ?? event.phase}`}>
          <span class="quiet">{formatTime(event.timeMs, nowMs.peek()).slice(-12, -4)}</span>
          <span class="run-phase">{event.phase === 'progress' ? '' : event.phase}</span>
          <span>{textOf(event)}</span>
        </li>
      ))}
    </ol>
  );
}

function textOf({ phase, operation, message }: RunEvent): string {
  return phase === 'plan' || phase === 'apply' || phase === 'progress'
    ? `${nameOf(operation)}: ${message}`
    : message;
}
