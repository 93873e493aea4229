import { useEffect, useState } from 'preact/hooks';
import { findingsOf } from './model/findings.ts';
import { EventsPage } from './pages/events.tsx';
import { HealthPage } from './pages/health.tsx';
import { JobPage } from './pages/job.tsx';
import { MapPage } from './pages/map.tsx';
import { OperationsPage } from './pages/operations.tsx';
import { QueryPage } from './pages/query.tsx';
import { RejectedPage } from './pages/rejected.tsx';
import { TopicPage } from './pages/topic.tsx';
import { Empty } from './parts/bits.tsx';
import { Icon } from './parts/icons.tsx';
import { Palette } from './parts/palette.tsx';
import { notice } from './state/hand-out.ts';
import { linkTo, place } from './state/place.ts';
import { connection, pulse } from './state/pulse.ts';
import { nextTheme, theme } from './state/theme.ts';

const PAGES: readonly (readonly [path: string, title: string, icon: string])[] = [
  ['', 'Pipeline', 'map'],
  ['events', 'Events', 'events'],
  ['rejected', 'Rejected', 'rejected'],
  ['query', 'Query', 'query'],
  ['operations', 'Operations', 'operations'],
  ['health', 'Health', 'health'],
];

/** The whole page: where one can go, the page that was chosen, the palette over it. */
export function App() {
  const [isPaletteOpen, setIsPaletteOpen] = useState(false);
  useShortcuts(() => setIsPaletteOpen(true));
  const [page = ''] = place.value.path;
  useEffect(() => {
    const title = PAGES.find(([path]) => path === page)?.[1] ?? place.value.path.at(-1) ?? '';
    document.title = `${title} · Millrace`;
  }, [page]);
  return (
    <>
      <button
        type="button"
        class="skip"
        onClick={() => document.querySelector<HTMLElement>('main h1')?.focus()}
      >
        Skip to the page
      </button>
      <Sidebar page={page} onFind={() => setIsPaletteOpen(true)} />
      <main id="content" class="main">
        <ConnectionNote />
        <Page />
      </main>
      {isPaletteOpen ? <Palette onClose={() => setIsPaletteOpen(false)} /> : null}
      <div class={notice.value === '' ? 'toast' : 'toast is-shown'} role="status">
        {notice.value}
      </div>
    </>
  );
}

function Page() {
  const [page = '', name = ''] = place.value.path;
  switch (page) {
    case '':
      return <MapPage />;
    case 'events':
      return <EventsPage />;
    case 'rejected':
      return <RejectedPage />;
    case 'query':
      return <QueryPage />;
    case 'operations':
      return <OperationsPage />;
    case 'health':
      return <HealthPage />;
    case 'jobs':
      return <JobPage key={name} name={name} />;
    case 'topics':
      return <TopicPage key={name} name={name} />;
    default:
      return <Empty title="There is no such page" />;
  }
}

function Sidebar({ page, onFind }: { readonly page: string; readonly onFind: () => void }) {
  return (
    <div class="side">
      <a class="brand" href="#/">
        <Brand />
        Millrace
      </a>
      <button type="button" class="find" onClick={onFind}>
        <Icon name="search" />
        <span>Find</span>
        <kbd>{navigator.userAgent.includes('Mac') ? '⌘K' : 'Ctrl K'}</kbd>
      </button>
      <nav aria-label="Pages">
        {PAGES.map(([path, title, icon]) => (
          <a
            key={path}
            href={linkTo(path === '' ? [] : [path])}
            aria-current={isCurrent(path, page) ? 'page' : undefined}
          >
            <Icon name={icon} />
            <span>{title}</span>
            {path === 'health' ? <Troubles /> : null}
          </a>
        ))}
      </nav>
      <div class="side-foot">
        <State />
        <button
          type="button"
          class="button is-quiet"
          aria-label={`Theme: ${theme.value}`}
          title={`Theme: ${theme.value}`}
          onClick={nextTheme}
        >
          <Icon name={theme.value} />
        </button>
      </div>
    </div>
  );
}

function isCurrent(path: string, page: string): boolean {
  return path === page || (path === '' && (page === 'jobs' || page === 'topics'));
}

const WAVE = 'c3.3 0 3.3-3 6.7-3s3.3 3 6.6 3 3.4-3 6.7-3';

function Brand() {
  return (
    <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d={[11, 17.5, 24].map(y => `M6 ${y}${WAVE}`).join('')} />
    </svg>
  );
}

function Troubles() {
  const count =
    pulse.value === null ? 0 : findingsOf(pulse.value).filter(({ severity }) => severity === 'bad').length;
  return count === 0 ? null : <span class="badge">{count}</span>;
}

function State() {
  const words = { live: 'live', connecting: 'connecting', stopped: 'no answer', signedOut: 'signed out' };
  const tones = { live: 'ok', connecting: 'warn', stopped: 'bad', signedOut: 'bad' };
  return (
    <span class={`tag is-${tones[connection.value]}`}>
      <i aria-hidden="true" />
      <span>
        {pulse.value?.status.environment ?? 'millrace'}, {words[connection.value]}
      </span>
    </span>
  );
}

/** Stands above every page while what is shown is not what is so. */
function ConnectionNote() {
  if (connection.value === 'signedOut') {
    return (
      <p class="note is-bad" role="alert">
        <b>This browser is not let in any more.</b> Open the address that <code>bin/millrace status</code>{' '}
        prints.
      </p>
    );
  }
  if (connection.value !== 'stopped') return null;
  return (
    <p class="note is-bad" role="alert">
      <b>Millrace does not answer.</b> What is shown is the last that was heard. Start it:{' '}
      <code>npm start</code>
    </p>
  );
}

/** Ctrl-K or Cmd-K opens the palette; `/` goes to the first filter of the page. */
function useShortcuts(openPalette: () => void): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        openPalette();
      }
      const isTyping = event.target instanceof Element && event.target.matches('input, textarea, select');
      if (event.key !== '/' || isTyping) return;
      const filter = document.querySelector<HTMLElement>('[data-first="filter"]');
      if (filter !== null) event.preventDefault();
      filter?.focus();
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, []);
}
