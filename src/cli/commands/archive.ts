import type { ArchiveDocument, ArchiveStatusDocument, ArchiveVerifyDocument } from '../../core/documents.ts';
import type { Call } from '../call.ts';
import { formatBytes, formatCount, formatTable } from '../format.ts';
import { ask, askDocument, findServer } from '../http-client.ts';

/** `archive status`. */
export async function archiveStatus({ settings, output }: Call): Promise<undefined> {
  const document = await askDocument<ArchiveStatusDocument>(findServer(settings), {
    path: '/v1/archive/status',
  });
  output.document(document, () => statusText(document));
}

/** `archive flush`: returns when every record present at the call is archived. */
export async function archiveFlush({ settings, output }: Call): Promise<undefined> {
  const document = await askDocument<ArchiveStatusDocument>(findServer(settings), {
    method: 'POST',
    path: '/v1/archive/flush',
  });
  output.document(document, () => statusText(document));
}

/** `archive verify`: exit 1 where the objects do not prove their coverage. */
export async function archiveVerify({ settings, output }: Call): Promise<number> {
  const document = await askDocument<ArchiveVerifyDocument>(findServer(settings), {
    path: '/v1/archive/verify',
  });
  output.document(document, () => verifyText(document));
  return document.ok ? 0 : 1;
}

/** `archive ls`. */
export async function archiveList({ settings, output }: Call): Promise<undefined> {
  const document = await askDocument<ArchiveDocument>(findServer(settings), { path: '/v1/archive/objects' });
  output.document(document, () =>
    formatTable(
      [
        { title: 'RECORDS', align: 'right' },
        { title: 'SIZE', align: 'right' },
        { title: 'OFFSETS' },
        { title: 'OBJECT' },
      ],
      document.objects.map(row => [
        formatCount(row.records),
        formatBytes(row.sizeBytes),
        `[${row.fromOffset}, ${row.toOffset})`,
        row.object,
      ]),
      'No object yet.',
    ),
  );
}

/** `archive cat OBJECT…`: the values of the records, one JSON line each, in the order of the arguments. */
export async function archiveCat({ args, settings, output }: Call): Promise<undefined> {
  const server = findServer(settings);
  for (const name of args) {
    const { body } = await ask(server, { path: '/v1/archive/object', query: { name } });
    for await (const chunk of body ?? []) await output.write(chunk);
  }
}

function statusText({ topics }: ArchiveStatusDocument): string {
  return formatTable(
    [
      { title: 'TOPIC' },
      { title: 'PARTITION', align: 'right' },
      { title: 'ARCHIVED TO', align: 'right' },
      { title: 'END OFFSET', align: 'right' },
      { title: 'WAITING', align: 'right' },
    ],
    topics.map(row => [
      row.topic,
      ...[row.partition, row.archivedTo, row.endOffset, row.endOffset - row.archivedTo].map(formatCount),
    ]),
    'No topic is archived.',
  );
}

function verifyText({ ok, topics }: ArchiveVerifyDocument): string {
  const rows = topics.flatMap(({ topic, partitions }) =>
    partitions.map(row => {
      const findings = [
        ...row.gaps.map(range => `gap [${range.fromOffset}, ${range.toOffset})`),
        ...row.overlaps.map(range => `overlap [${range.fromOffset}, ${range.toOffset})`),
        ...row.quarantined.map(range => `quarantined [${range.fromOffset}, ${range.toOffset})`),
        ...row.damaged.map(object => `damaged ${object}`),
      ];
      return [topic, String(row.partition), formatCount(row.archivedTo), findings.join(', ') || 'complete'];
    }),
  );
  const table = formatTable(
    [
      { title: 'TOPIC' },
      { title: 'PARTITION', align: 'right' },
      { title: 'ARCHIVED TO', align: 'right' },
      { title: 'FOUND' },
    ],
    rows,
    'Nothing is archived.',
  );
  const verdict = ok
    ? 'ok: every record below "archived to" lies in exactly one object'
    : 'NOT ok: see the findings';
  return `${table}${verdict}\n`;
}
