// PostgreSQL's text holds every character but U+0000. U+FFFF, which is no character and stands in no text that
// people write, marks it: `\uffff0` is U+0000 and `\uffff\uffff` is U+FFFF itself, so what was stored comes back.
const MARK = '\uffff';
const TO_MARK = /[\0\uffff]/;
const EACH_TO_MARK = /[\0\uffff]/g;
const EACH_MARKED = /\uffff([0\uffff])/g;

/** A text as a column holds it. */
export function encodeText(text: string): string {
  if (!TO_MARK.test(text)) return text;
  return text.replace(EACH_TO_MARK, character => (character === MARK ? MARK + MARK : `${MARK}0`));
}

/** A column's text as it was before {@link encodeText}. */
export function decodeText(text: string): string {
  if (!text.includes(MARK)) return text;
  return text.replace(EACH_MARKED, (_, character: string) => (character === MARK ? MARK : '\0'));
}
