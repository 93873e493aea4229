import type { SightingDocument, TraceDocument } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { formatTable, formatTime, printable } from '../format.ts';
import { askDocument, findServer } from '../http-client.ts';

/** Of the 16 KiB that a server takes for address and headers; the rest is the token and what `fetch` adds. */
const PATH_BYTES_MAX = 15 * 1024;

/** `trace MID`: exit 1 where nothing is known of it. */
export async function trace(call: Call): Promise<undefined> {
  const path = `/v1/trace/${encodeURIComponent(call.arg(0))}`;
  if (path.length > PATH_BYTES_MAX) {
    const why = `the mid takes ${path.length} bytes of an address, which has room for ${PATH_BYTES_MAX}`;
    throw new MillraceError('ERR_USAGE', why, {
      remedy:
        'Trace its short form, which is the mid that "millrace failed" and "millrace query" show: ' +
        'its first 191 characters, "~" and the SHA-256 of all of it, in hexadecimal.',
    });
  }
  const document = await askDocument<TraceDocument>(findServer(call.settings), { path });
  call.output.document(document, () => document.sightings.map(sightingText).join('\n'));
}

function sightingText(sighting: SightingDocument): string {
  const { topic, partition, offset, index } = sighting.source;
  const stages = formatTable(
    [{ title: 'TIME' }, { title: 'STAGE' }, { title: 'OUTCOME' }, { title: 'PLACE' }],
    sighting.stages.map(stage => [
      formatTime(stage.timeMs),
      stage.stage,
      stage.outcome,
      stage.topic === null ? '' : `${stage.topic} ${stage.partition ?? ''}:${stage.offset ?? ''}`,
    ]),
  );
  const causes = sighting.stages
    .filter(stage => stage.code !== null || stage.reason !== null)
    .map(({ stage, code, pointer, reason }) =>
      printable(
        `${stage}: ${[code, pointer, reason].filter(part => part !== null && part !== '').join(' ')}`,
      ),
    );
  const objects = sighting.archive.map(row => printable(`archived in ${row.object}, line ${row.line}`));
  const head = `Received ${formatTime(sighting.receivedAtMs)}: ${topic} ${partition}:${offset}, event ${index}\n`;
  return head + stages + [...causes, ...objects].map(line => `${line}\n`).join('');
}
