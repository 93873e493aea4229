/** Whether a content-type is `application/json` or `application/<name>+json`, in UTF-8 where it names a charset. */
export function isJsonType(header: string | undefined): boolean {
  if (header === 'application/json') return true;
  const match = /^application\/(?:[\w.!#$&^-]+\+)?json *(?:;(.*))?$/i.exec(header ?? '');
  if (match === null) return false;
  const charset = /(?:^|;) *charset *= *"?([^";\s]*)/i.exec(match[1] ?? '')?.[1];
  return charset === undefined || /^utf-?8$/i.test(charset);
}
