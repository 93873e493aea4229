import { didYouMean } from '../../config/suggest.ts';
import { MillraceError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/event.ts';
import { DATASETS } from '../../core/job.ts';
import type { Call } from '../call.ts';
import { formatCount, formatCounted } from '../format.ts';
import { askDocument, findServer } from '../http-client.ts';
import { groupLines, joinLines, type Line, REQUEST_LIMIT, readLines } from '../read-lines.ts';

/** `cache load DATASET FILE`: resolves when the jobs see the rows. A bad line ends it, named. */
export async function loadCache(call: Call): Promise<undefined> {
  const dataset = datasetOf(call.arg(0));
  const file = call.arg(1);
  const server = findServer(call.settings);
  let loaded = 0;
  for await (const group of groupLines(readLines(file), REQUEST_LIMIT)) {
    for (const line of group) checkRow(line, file, loaded);
    const document = await askDocument<{ loaded: number }>(server, {
      method: 'POST',
      path: `/v1/cache/${dataset}`,
      body: joinLines(group),
      contentType: 'application/x-ndjson',
    });
    loaded += document.loaded;
    call.output.progress(`${formatCount(loaded)} rows`);
  }
  call.output.progress('');
  call.output.document(
    { dataset, loaded },
    () => `${formatCounted(loaded, 'row', 'rows')} loaded into ${dataset}\n`,
  );
}

/** `cache get DATASET KEY`: the row's value. */
export async function getCache(call: Call): Promise<undefined> {
  const path = `/v1/cache/${datasetOf(call.arg(0))}/${encodeURIComponent(call.arg(1))}`;
  const value = await askDocument<JsonObject>(findServer(call.settings), { path });
  call.output.document(value, () => `${JSON.stringify(value, null, 2)}\n`);
}

function datasetOf(text: string): string {
  if ((DATASETS as readonly string[]).includes(text)) return text;
  const why = `there is no dataset "${text}"${didYouMean(text, DATASETS)}`;
  throw new MillraceError('ERR_USAGE', why, { remedy: `Use one of: ${DATASETS.join(', ')}` });
}

/** The server refuses a bad row too, but knows only the lines of its request, not those of the file. */
function checkRow({ line, bytes }: Line, file: string, loaded: number): void {
  const row = parseRow(bytes);
  if (isObject(row) && typeof row['key'] === 'string' && row['key'] !== '' && isObject(row['value'])) return;
  const before = loaded === 0 ? 'nothing was loaded' : `the first ${formatCount(loaded)} rows were loaded`;
  throw new MillraceError(
    'ERR_RECORD_UNREADABLE',
    `${file}:${line} is not {"key": …, "value": {…}}; ${before}`,
    {
      remedy: `Correct line ${line} and load the file again: loading a row twice does no harm.`,
    },
  );
}

function parseRow(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
