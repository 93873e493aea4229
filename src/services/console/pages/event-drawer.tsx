import { useEffect, useMemo } from 'preact/hooks';
import type { EventDocument, Json, TailDocument } from '../../query/contract.ts';
import { differences } from '../model/difference.ts';
import { explain } from '../model/explain.ts';
import type { Mark } from '../model/json-lines.ts';
import { valueAtPointer } from '../model/json-lines.ts';
import { Fact, OutcomeTag, RefusalBox, Time } from '../parts/bits.tsx';
import { Icon } from '../parts/icons.tsx';
import { JsonView } from '../parts/json-view.tsx';
import { type Answer, apiPath, read, useAnswer } from '../state/api.ts';
import { setFilters } from '../state/place.ts';
import { EventPath } from './event-path.tsx';
import { ExplainBox } from './explain-box.tsx';

/** An event with what its client sent; `sent` null where the log does not hold it any more. */
interface Loaded {
  readonly event: EventDocument;
  readonly sent: Json | null;
}

/** One event: what became of it, its path, and its JSON with what the pipeline added. */
export function EventDrawer({ id }: { readonly id: string }) {
  const { answer } = useAnswer(id, signal => load(id, signal));
  useEffect(closeOnEscape, []);
  return (
    <aside class="drawer" aria-label="Event">
      <button
        type="button"
        class="button is-quiet drawer-close"
        aria-label="Close"
        onClick={() => setFilters({ id: undefined, group: undefined })}
      >
        <Icon name="close" />
      </button>
      {answer === undefined ? null : 'refusal' in answer ? (
        <RefusalBox refusal={answer.refusal} />
      ) : (
        <Shown loaded={answer.value} />
      )}
    </aside>
  );
}

/** Escape closes it from anywhere but an open dialog. */
function closeOnEscape(): () => void {
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape' && document.querySelector('dialog[open]') === null)
      setFilters({ id: undefined, group: undefined });
  };
  addEventListener('keydown', onKeyDown);
  return () => removeEventListener('keydown', onKeyDown);
}

function Shown({ loaded }: { readonly loaded: Loaded }) {
  const { event } = loaded;
  return (
    <>
      <h2 class="drawer-title">
        {event.eid ?? 'Event'} <OutcomeTag outcome={event.outcome} />
      </h2>
      {event.outcome === 'reject' && event.code !== null ? (
        <ExplainBox
          code={event.code}
          explanation={explain(
            { code: event.code, reason: event.reason ?? '', pointer: event.pointer },
            event.event,
          )}
        />
      ) : event.reason === null ? null : (
        <p class="note">{event.reason}</p>
      )}
      <dl class="facts">
        <Fact name="Event id">
          <span class="mono">{event.mid ?? '–'}</span>
        </Fact>
        <Fact name="Received">
          <Time ms={event.receivedAtMs} />
        </Fact>
        <Fact name="By its client">{event.ets === null ? '–' : <Time ms={event.ets} />}</Fact>
        <Fact name="Device">
          {event.did === null ? (
            '–'
          ) : (
            <a href={`#/events?did=${encodeURIComponent(event.did)}`}>{event.did}</a>
          )}
        </Fact>
        <Fact name="Producer">
          {event.pdataId ?? '–'} {String(valueAtPointer(event.event, '/context/pdata/ver') ?? '')}
        </Fact>
      </dl>
      <Beside loaded={loaded} />
    </>
  );
}

/** The path and the JSON: beside each other where there is room, else what matters more comes first. */
function Beside({ loaded: { event, sent } }: { readonly loaded: Loaded }) {
  const marks = useMemo(() => marksOf(event, sent), [event, sent]);
  const shown = event.event ?? sent;
  return (
    <div class={event.outcome === 'reject' ? 'beside is-json-first' : 'beside'}>
      <div>
        <h3>Path</h3>
        {event.mid === null ? (
          <p class="quiet">An event without an id cannot be traced.</p>
        ) : (
          <EventPath mid={event.mid} flags={valueAtPointer(event.event, '/flags')} />
        )}
      </div>
      <div class="beside-json">
        <h3>
          Event
          <span class="quiet">{summaryOf([...marks.values()], sent)}</span>
        </h3>
        {shown === null ? (
          <p class="quiet">
            Of events that were dropped only the columns are kept, and the log no longer has its batch.
          </p>
        ) : (
          <JsonView value={shown} marks={marks} name={`event-${event.mid ?? event.id}`} />
        )}
      </div>
    </div>
  );
}

function summaryOf(marks: readonly Mark[], sent: Json | null): string {
  if (sent === null) return ' what the client sent is no longer in the log';
  const count = (mark: Mark): number => marks.filter(other => other === mark).length;
  const parts = [
    [count('added'), 'added'],
    [count('changed'), 'changed'],
  ].filter(([many]) => many !== 0);
  return parts.length === 0
    ? ' as its client sent it'
    : ` ${parts.map(([many, word]) => `${many} ${word}`).join(', ')} on the way`;
}

function marksOf(event: EventDocument, sent: Json | null): ReadonlyMap<string, Mark> {
  const marks = new Map<string, Mark>(
    sent === null || event.event === null ? [] : differences(sent, event.event),
  );
  if (event.outcome === 'reject' && event.pointer !== null && event.pointer !== '') {
    const isThere = valueAtPointer(event.event, event.pointer) !== undefined;
    marks.set(event.pointer, isThere ? 'fault' : 'missing');
  }
  return marks;
}

async function load(id: string, signal: AbortSignal): Promise<Answer<Loaded>> {
  const answer = await read<EventDocument>(`/v1/events/${encodeURIComponent(id)}`, signal);
  if ('refusal' in answer) return answer;
  return { value: { event: answer.value, sent: await sentOf(answer.value, signal) } };
}

/** What the client sent: the element of the batch that the event came from. */
async function sentOf({ source }: EventDocument, signal: AbortSignal): Promise<Json | null> {
  if (source === null) return null;
  const path = apiPath(`/v1/topics/${encodeURIComponent(source.topic)}/records`, {
    partition: source.partition,
    fromOffset: source.offset,
    limit: 1,
  });
  const answer = await read<readonly TailDocument[]>(path, signal);
  const record = 'value' in answer ? answer.value[0] : undefined;
  if (record === undefined || record.offset !== source.offset) return null;
  return valueAtPointer(record.value, `/events/${source.index}`) ?? null;
}
