const PATHS: Readonly<Record<string, string>> = {
  map: 'M3 5h5v5H3zM12 3h5v4h-5zM12 12h5v5h-5zM8 7.5h2.5v-2.5h1.5M10.5 7.5v7h1.5',
  events: 'M3 5h14M3 10h14M3 15h9',
  rejected: 'M10 3l7.5 13.5h-15zM10 8.5v3.5M10 14.2v.3',
  query: 'M4 5l4 4-4 4M10 14h6',
  operations: 'M3 4.5h3v3h-3zM3 12.5h3v3h-3zM9.5 6h7.5M9.5 14h7.5M4.5 7.5v5',
  health: 'M2.5 10.5h3.5l2-5 3.5 9 2-4h4',
  light: `M10 6.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM10 2v1.8M10 16.2v1.8M2 10h1.8M16.2 10h1.8
    M4.3 4.3l1.3 1.3M14.4 14.4l1.3 1.3M4.3 15.7l1.3-1.3M14.4 5.6l1.3-1.3`,
  dark: 'M16.5 12a7 7 0 0 1-8.5-8.5 7 7 0 1 0 8.5 8.5z',
  system: 'M3 4h14v9H3zM7.5 16.5h5M10 13v3.5',
  search: 'M9 3.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11zM13 13l4 4',
  close: 'M5 5l10 10M15 5L5 15',
};

/** A sign of 20 by 20 in the colour of its text; decoration, its word stands beside it or names its button. */
export function Icon({ name }: { readonly name: string }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={PATHS[name] ?? ''} />
    </svg>
  );
}
