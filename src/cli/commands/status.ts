import type { ConservationRow, StatusDocument } from '../../core/documents.ts';
import type { Call } from '../call.ts';
import { formatCount, formatDuration, formatPairs, formatTable } from '../format.ts';
import { askDocument, findServer } from '../http-client.ts';

/** `status`: exit 0 whenever there is an answer, whatever it says. */
export async function status({ settings, output }: Call): Promise<undefined> {
  const server = findServer(settings);
  const document = await askDocument<StatusDocument>(server, { path: '/v1/status' });
  const consoleUrl = server.token === undefined ? server.url : `${server.url}/?token=${server.token}`;
  output.document(document, () => statusText(document, consoleUrl));
}

function statusText(document: StatusDocument, consoleUrl: string): string {
  const head = formatPairs([
    ['environment', document.environment],
    ['state', `${document.state}${document.idle ? ', idle' : ', working'}`],
    ['version', document.version],
    ['up for', formatDuration(document.uptimeMs)],
    ['console', consoleUrl],
  ]);
  const components = formatTable(
    [{ title: 'COMPONENT' }, { title: 'ADAPTER' }, { title: 'STATE' }, { title: 'DETAIL' }],
    document.components.map(row => [row.name, row.adapter, row.state, row.detail.split('\n')[0] ?? '']),
  );
  const parts = [head, components, ...longDetails(document), conservationText(document.conservation)];
  const broken = document.edges.filter(edge => !edge.balanced);
  if (broken.length > 0) parts.push(edgesText(broken));
  if (document.quarantined.length > 0) parts.push(quarantineText(document.quarantined));
  return parts.join('\n');
}

/** Details of more than a line: what a server that does not come up said last, and what to do. */
function longDetails({ components }: StatusDocument): readonly string[] {
  return components
    .filter(({ detail }) => detail.includes('\n'))
    .map(({ name, state, detail }) => `${name} ${state}: ${detail}\n`);
}

function conservationText(rows: readonly ConservationRow[]): string {
  const names = ['RECEIVED', 'EMITTED', 'REJECTED', 'DROPPED', 'DERIVED'];
  return formatTable(
    [{ title: 'JOB' }, ...names.map(title => ({ title, align: 'right' as const })), { title: 'BALANCED' }],
    rows.map(row => [
      row.job,
      ...[row.received, row.emitted, row.rejected, row.dropped, row.derived].map(formatCount),
      row.balanced ? 'yes' : 'NO',
    ]),
  );
}

function edgesText(edges: StatusDocument['edges']): string {
  const names = ['EMITTED', 'RECEIVED', 'WAITING'];
  const table = formatTable(
    [{ title: 'TOPIC' }, { title: 'READER' }, ...names.map(title => ({ title, align: 'right' as const }))],
    edges.map(edge => [
      edge.topic,
      edge.reader,
      ...[edge.emitted, edge.received, edge.waiting].map(formatCount),
    ]),
  );
  return `Emitted to a topic, but not received by its reader:\n${table}`;
}

function quarantineText(ranges: StatusDocument['quarantined']): string {
  const table = formatTable(
    [{ title: 'TOPIC' }, { title: 'PARTITION', align: 'right' }, { title: 'OFFSETS' }],
    ranges.map(range => [range.topic, String(range.partition), `[${range.fromOffset}, ${range.toOffset})`]),
  );
  return `Records that can no longer be read (quarantined):\n${table}`;
}
