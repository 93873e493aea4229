import type pg from 'pg';

/**
 * `raw ->> '$.edata.pageid'` and `raw -> 'edata'` on texts, as SQLite has them, so that the same SQL reads inside
 * events on both. What stands at the right is a name or a path of names and numbers; `->>` gives text here where
 * SQLite gives a number for a number. Each function is one expression, so that the server puts it in place of the
 * call rather than calling it for each row.
 */
const OPERATORS = [
  {
    name: '->>',
    function: 'json_text_at',
    body: `$1::json #>> ${pathOf('$2')}`,
  },
  {
    name: '->',
    function: 'json_at',
    body: `($1::json #> ${pathOf('$2')})::text`,
  },
] as const;

/**
 * `json_valid(raw)` as on SQLite: whether the operators can read inside. An escape of U+0000 is none that they
 * can read.
 * PostgreSQL before 16 has nothing of the kind: a text is tried, in a subtransaction, which no parallel plan may have.
 */
const JSON_VALID = `
  CREATE OR REPLACE FUNCTION json_valid(text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $body$
    BEGIN
      PERFORM $1::jsonb;
      RETURN $1 IS NOT NULL;
    EXCEPTION WHEN others THEN
      RETURN false;
    END $body$`;

/** Makes the operators and the function that are missing in the schema where tables are made. */
export async function makeJsonOperators(client: pg.ClientBase): Promise<void> {
  const { rowCount } = await client.query(`
    SELECT 1 FROM pg_proc WHERE proname = 'json_valid' AND pronamespace = current_schema()::regnamespace`);
  if (rowCount === 0) await client.query(JSON_VALID);
  const { rows } = await client.query(`
    SELECT oprname AS name FROM pg_operator
    WHERE oprnamespace = current_schema()::regnamespace AND oprleft = 'text'::regtype AND oprright = 'text'::regtype`);
  for (const { name, function: call, body } of OPERATORS) {
    if (rows.some(row => row.name === name)) continue;
    await client.query(`
      CREATE OR REPLACE FUNCTION ${call}(text, text) RETURNS text
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$ SELECT ${body} $body$;
      CREATE OPERATOR ${name} (LEFTARG = text, RIGHTARG = text, FUNCTION = ${call})`);
  }
}

/** `$.a.b[0]` as the array of its names and numbers, a name alone as the array of it. */
function pathOf(place: string): string {
  const dotted = `regexp_replace(${place}, '\\[(\\d+)\\]', '.\\1', 'g')`;
  return `CASE WHEN starts_with(${place}, '$')
    THEN string_to_array(ltrim(${dotted}, '$.'), '.') ELSE ARRAY[${place}] END`;
}
