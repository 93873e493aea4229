import { signal } from '@preact/signals';

/** What the viewer chose; `system` follows the machine. */
export type Theme = 'system' | 'light' | 'dark';

const KEY = 'millrace.theme';
const darkness = matchMedia('(prefers-color-scheme: dark)');

/** The choice; kept in the browser. */
export const theme = signal<Theme>(readTheme());
/** Whether the page is dark now. */
export const isDark = signal(false);

/** Follows the choice and the machine from now on. */
export function followTheme(): void {
  darkness.addEventListener('change', apply);
  apply();
}

/** Light, dark, and back to what the machine says. */
export function nextTheme(): void {
  theme.value = theme.value === 'system' ? 'light' : theme.value === 'light' ? 'dark' : 'system';
  if (theme.value === 'system') localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme.value);
  apply();
}

function apply(): void {
  isDark.value = theme.value === 'dark' || (theme.value === 'system' && darkness.matches);
  document.documentElement.dataset['theme'] = isDark.value ? 'dark' : 'light';
}

function readTheme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}
