import { signal } from '@preact/signals';

/** A word to the viewer that goes by itself. */
export const notice = signal('');

const NOTICE_MS = 2500;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Says something for a moment; also to screen readers. */
export function say(text: string): void {
  notice.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    notice.value = '';
  }, NOTICE_MS);
}

/** Puts a text on the clipboard, and says so. */
export function copyText(text: string): void {
  navigator.clipboard.writeText(text).then(
    () => say('Copied'),
    () => say('The browser did not allow copying'),
  );
}

/** Hands a text out as a file. */
export function saveText(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name.replace(/[^\w.-]+/g, '-');
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
