import type { Json } from '../../query/contract.ts';
import { toCsv } from '../model/csv.ts';
import { saveText } from '../state/hand-out.ts';

/** Two buttons that hand out what is shown: CSV for spreadsheets, JSON for programs. */
export function ExportButtons({
  name,
  columns,
  rows,
}: {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, Json | undefined>>[];
}) {
  return (
    <>
      <button
        type="button"
        class="button"
        disabled={rows.length === 0}
        onClick={() => saveText(`${name}.csv`, 'text/csv;charset=utf-8', toCsv(columns, rows))}
      >
        CSV
      </button>
      <button
        type="button"
        class="button"
        disabled={rows.length === 0}
        onClick={() => saveText(`${name}.json`, 'application/json', JSON.stringify(rows, null, 1))}
      >
        JSON
      </button>
    </>
  );
}
