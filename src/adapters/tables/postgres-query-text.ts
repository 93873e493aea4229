/**
 * Names that no query may use, whatever rights its role has. They change settings of the session (and with them its
 * limits), run SQL that is given as text, hold locks, signal other sessions, write large objects or reach other
 * servers; the rest of `pg_…` and `information_schema` tells of the server and not of events. Some of it PostgreSQL
 * grants to everybody, and only an administrator could take that back.
 */
const FORBIDDEN_NAMES: readonly RegExp[] = [
  /^pg_(?!typeof$)/,
  /^information_schema$/,
  /^(?:set_config|current_setting)$/,
  /^lo_(?:creat|create|open|close|get|put|import|export|unlink|lseek|tell|truncate|from_bytea)/,
  /^lo(?:read|write)$/,
  /^dblink/,
  /^(?:query|table|schema|database|cursor)_to_xml/,
  /^(?:ts_stat|ts_rewrite|crosstab|connectby|xpath_table)/,
  /^(?:nextval|setval|currval|lastval)$/,
  /^(?:txid|inet|binary_upgrade)_/,
];

/** Words that begin a statement that does something other than read. */
const COMMANDS: ReadonlySet<string> = new Set(
  `abort alter analyse analyze attach begin call checkpoint close cluster comment commit copy create deallocate
   declare delete detach discard do drop execute explain fetch grant import insert listen load lock merge move
   notify pragma prepare reassign refresh reindex release reset revoke rollback savepoint security set show start
   truncate unlisten update vacuum`.split(/\s+/),
);
/** Words that make a SELECT write, wherever they stand. */
const WRITES: readonly string[] = ['insert', 'update', 'delete', 'merge', 'into'];

/**
 * One token: a comment, a quoted text, a name or a character, as the scanner of PostgreSQL cuts them. That it does
 * so rests on two settings of the session: with standard_conforming_strings on and backslash_quote off every text
 * between quotes ends at the same place, whether backslashes mean something in it or not.
 */
const TOKEN = new RegExp(
  [
    /--[^\n\r]*|\/\*/,
    /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/,
    /'[^']*(?:''[^']*)*'?/,
    /[uU]&"|"[^"]*(?:""[^"]*)*"?/,
    /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/,
    /[\s\S]/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'y',
);

/** What the text of a query shows without being run. */
export interface QueryText {
  /** Why it must not run; undefined where the server decides. */
  readonly refusal: string | undefined;
  /** Whether it begins as, or holds, what is no SELECT: where the server cannot parse it, it was to do more. */
  readonly isCommand: boolean;
}

/**
 * Looks at the text of a query as PostgreSQL cuts it. What is refused here the role may mostly not do anyway: the
 * rights are the wall, this is for what everybody may do.
 */
export function readQueryText(sql: string): QueryText {
  const words: string[] = [];
  let hasEnded = false;
  let hasMore = false;
  for (const token of tokensOf(sql)) {
    if (token === undefined) return { refusal: 'it holds a name in Unicode escapes', isCommand: false };
    if (token === ';') hasEnded = true;
    else if (hasEnded) hasMore = true;
    if (token.startsWith('"')) words.push(token.replace(/^"|"$/g, '').toLowerCase());
    else if (/^[A-Za-z_\u0080-\uffff]/.test(token)) words.push(token.toLowerCase());
  }
  const isCommand = COMMANDS.has(words[0] ?? '') || words.some(word => WRITES.includes(word));
  if (hasMore) return { refusal: 'there is more than one statement', isCommand };
  const name = words.find(word => FORBIDDEN_NAMES.some(pattern => pattern.test(word)));
  return { refusal: name === undefined ? undefined : `it uses ${name}`, isCommand };
}

/**
 * The tokens but for spaces and comments; a text between dollars is its opening. Undefined is a name in Unicode
 * escapes, which nobody needs and which would have to be read as the server does.
 */
function* tokensOf(sql: string): Generator<string | undefined> {
  // Each round takes at least a character, so it ends.
  for (let at = 0; at < sql.length; ) {
    TOKEN.lastIndex = at;
    const [token = ''] = TOKEN.exec(sql) ?? [];
    at += token.length;
    if (token.startsWith('--') || token.trim() === '') continue;
    if (token === '/*') {
      at = afterComment(sql, at);
      continue;
    }
    if (/^\$.*\$$/s.test(token)) at = afterText(sql, at, token);
    yield /^u&"$/i.test(token) ? undefined : token;
  }
}

/** Where a block comment ends whose opening is behind `from`; comments lie in one another. */
function afterComment(sql: string, from: number): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = from;
  let depth = 1;
  for (let found = edge.exec(sql); found !== null; found = edge.exec(sql)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
  return sql.length;
}

/** Where a text between dollars ends. */
function afterText(sql: string, from: number, tag: string): number {
  const end = sql.indexOf(tag, from);
  return end === -1 ? sql.length : end + tag.length;
}
