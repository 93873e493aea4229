import type { QueryDocument } from '../../core/documents.ts';
import type { Json } from '../../core/event.ts';
import type { Call } from '../call.ts';
import { formatCounted, formatTable } from '../format.ts';
import { askDocument, findServer } from '../http-client.ts';
import { readText } from '../read-lines.ts';

// A query is written by a person or a script; the server takes no more than this either way.
const SQL_BYTES_MAX = 1024 * 1024;

/** `query SQL`: "-" reads it from standard input. */
export async function query(call: Call): Promise<undefined> {
  const typed = call.arg(0);
  const sql = typed === '-' ? await readText('-', SQL_BYTES_MAX) : typed;
  const document = await askDocument<QueryDocument>(findServer(call.settings), {
    method: 'POST',
    path: '/v1/query',
    body: JSON.stringify({ sql }),
  });
  call.output.document(document, () => queryText(document));
}

function queryText({ columns, rows, truncated }: QueryDocument): string {
  const table = formatTable(
    columns.map(({ name }) => ({
      title: name,
      align: rows.every(row => row[name] === null || typeof row[name] === 'number') ? 'right' : 'left',
    })),
    rows.map(row => columns.map(({ name }) => cellText(row[name]))),
    'No rows.',
  );
  const count = formatCounted(rows.length, 'row', 'rows');
  if (truncated) return `${table}(${count}, cut at query.rowsMax: there are more)\n`;
  return rows.length === 0 ? table : `${table}(${count})\n`;
}

function cellText(value: Json | undefined): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
