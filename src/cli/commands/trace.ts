import type { SightingDocument, TraceDocument } from '../../core/documents.ts';
import type { Call } from '../call.ts';
import { formatTable, formatTime, printable } from '../format.ts';
import { askDocument, findServer } from '../http-client.ts';

/** `trace MID`: exit 1 where nothing is known of it. */
export async function trace(call: Call): Promise<undefined> {
  const path = `/v1/trace/${encodeURIComponent(call.arg(0))}`;
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
