import { createHash } from 'node:crypto';
import { type ColumnValue, columnText, RELATIONS, type RelationName } from '../../core/relations.ts';

/** The text columns that an index holds, but for `topic`, which names of topics bound. */
const KEY_COLUMNS: readonly string[] = ['mid', 'did', 'user_id', 'job', 'code'];
/**
 * An entry of a PostgreSQL index holds 2704 bytes at most and an insert of more fails. With 256 characters of up
 * to three bytes each, two of them and a topic of 249 fit.
 */
const KEY_CHARACTERS_MAX = 256;
const HEAD_CHARACTERS = 191;

const PLACES = Object.fromEntries(
  Object.entries(RELATIONS).map(([relation, columns]) => [
    relation,
    columns.flatMap((column, at) => (KEY_COLUMNS.includes(column) ? [at] : [])),
  ]),
);

/**
 * A text as an indexed column holds it: as {@link columnText}, and one over 256 characters is its first 191, `~` and
 * the SHA-256 of its UTF-8 in hexadecimal, so that looking it up whole still finds it. What a column holds is found by
 * itself, too. `raw` holds the event as it was.
 */
export function keyText(whole: string): string {
  const text = columnText(whole);
  if (text.length <= KEY_CHARACTERS_MAX) return text;
  const digest = createHash('sha256').update(text).digest('hex');
  return `${text.slice(0, HEAD_CHARACTERS)}~${digest}`;
}

/** The values of a row with its indexed texts as {@link keyText}; the same array where none is long. */
export function shortenKeys(relation: RelationName, values: readonly ColumnValue[]): readonly ColumnValue[] {
  const places = PLACES[relation]!;
  if (!places.some(at => isLong(values[at]))) return values;
  return values.map((value, at) =>
    places.includes(at) && typeof value === 'string' ? keyText(value) : value,
  );
}

function isLong(value: ColumnValue | undefined): boolean {
  return typeof value === 'string' && value.length > KEY_CHARACTERS_MAX;
}
