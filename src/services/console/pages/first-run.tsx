import { useState } from 'preact/hooks';
import { RefusalBox } from '../parts/bits.tsx';
import { post, type Refusal } from '../state/api.ts';
import { copyText, say } from '../state/hand-out.ts';
import { pulse } from '../state/pulse.ts';

/** What stands where nothing has arrived yet: the lines to paste, and a button that needs none. */
export function FirstRun() {
  return (
    <section class="first-run" aria-label="First events">
      <div>
        <h2>Send the first event</h2>
        <p class="quiet">It shows up here by itself, within two seconds.</p>
        <SampleButton isMain />
      </div>
      <Snippet name="From a terminal" text={curlText()} />
      <Snippet name="From a client" text={clientText()} />
    </section>
  );
}

/** Whether made-up events may be sent from here: where real ones are at home they would be taken for some. */
export function canSample(): boolean {
  return pulse.value?.status.environment === 'local';
}

/** Sends made-up valid events through ingest; only in the environment `local`. */
export function SampleButton({ isMain = false }: { readonly isMain?: boolean }) {
  const [state, setState] = useState<{ readonly isBusy: boolean; readonly refusal?: Refusal }>({
    isBusy: false,
  });
  if (!canSample()) return null;
  const send = async (): Promise<void> => {
    setState({ isBusy: true });
    const answer = await sendSample();
    setState(answer === undefined ? { isBusy: false } : { isBusy: false, refusal: answer });
  };
  return (
    <>
      <button
        type="button"
        class={isMain ? 'button is-main' : 'button'}
        disabled={state.isBusy}
        onClick={() => void send()}
      >
        Send 100 sample events
      </button>
      {state.refusal === undefined ? null : <RefusalBox refusal={state.refusal} />}
    </>
  );
}

/** Sends 100 made-up events and says so; resolves with why they were not taken. */
export async function sendSample(): Promise<Refusal | undefined> {
  const answer = await post<{ readonly accepted: number }>('/v1/sample?count=100');
  if ('refusal' in answer) return answer.refusal;
  say(`${answer.value.accepted} events accepted`);
  return undefined;
}

function Snippet({ name, text }: { readonly name: string; readonly text: string }) {
  return (
    <div class="snippet">
      <div class="snippet-head">
        <h3>{name}</h3>
        <button type="button" class="button is-small" onClick={() => copyText(text)}>
          Copy
        </button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached from the keyboard */}
      <pre tabIndex={0}>{text}</pre>
    </div>
  );
}

/** A line for a shell that sends one valid event to this server. */
export function curlText(): string {
  const event = {
    eid: 'IMPRESSION',
    mid: 'first-event',
    ver: '3.0',
    ets: Date.now(),
    actor: { id: 'user-1', type: 'User' },
    context: {
      channel: 'demo',
      pdata: { id: 'my.app', ver: '1.0' },
      env: 'home',
      sid: 'session-1',
      did: 'device-1',
    },
    edata: { type: 'view', pageid: 'home', uri: '/' },
  };
  return [
    `curl ${location.origin}/v1/telemetry \\`,
    `  -H 'content-type: application/json' \\`,
    `  -d '${JSON.stringify({ events: [event] })}'`,
  ].join('\n');
}

function clientText(): string {
  return [
    '// Sunbird telemetry SDK',
    '$t.initialize({',
    `  host: '${location.origin}',`,
    "  endpoint: '/v1/telemetry',",
    "  apislug: '',",
    "  channel: 'demo', uid: 'user-1', env: 'home',",
    "  pdata: { id: 'my.app', ver: '1.0' },",
    '});',
  ].join('\n');
}
