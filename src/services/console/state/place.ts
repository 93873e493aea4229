import { signal } from '@preact/signals';

/** Where the console stands: the steps of the path and the filters, both from the fragment of the address. */
export interface Place {
  /** `#/events?did=x` has the one step `events`; the home page has none. */
  readonly path: readonly string[];
  readonly query: Readonly<Record<string, string>>;
}

/** The place now. In the fragment no filter reaches a server's log, and a copied address leads back. */
export const place = signal<Place>(readPlace());

addEventListener('hashchange', () => {
  place.value = readPlace();
});

/** An address within the console; filters that are empty are left out. */
export function linkTo(
  path: readonly string[],
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') search.set(name, value);
  const text = search.toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}

/** Goes to a place; it can be left with Back. */
export function goTo(
  path: readonly string[],
  query: Readonly<Record<string, string | undefined>> = {},
): void {
  location.hash = linkTo(path, query);
}

/** Changes filters of this place without a step in the history; undefined or empty takes one away. */
export function setFilters(changes: Readonly<Record<string, string | undefined>>): void {
  const { path, query } = place.value;
  history.replaceState(null, '', linkTo(path, { ...query, ...changes }));
  place.value = readPlace();
}

function readPlace(): Place {
  const [path = '', search = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
  return {
    path: path
      .split('/')
      .filter(step => step !== '')
      .map(decodeStep),
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

function decodeStep(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}
