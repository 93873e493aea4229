import { signal } from '@preact/signals';

const narrow = matchMedia('(max-width: 719px)');

/** Whether the page is as narrow as a phone: tables leave columns out, the graph becomes a list. */
export const isNarrow = signal(narrow.matches);

narrow.addEventListener('change', () => {
  isNarrow.value = narrow.matches;
});
