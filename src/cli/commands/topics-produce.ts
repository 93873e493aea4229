import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { formatCount, formatCounted } from '../format.ts';
import { askDocument, findServer } from '../http-client.ts';
import { groupLines, joinLines, REQUEST_LIMIT, readLines } from '../read-lines.ts';

/** `topics produce TOPIC --input FILE`: groups of lines, each durable before the next is sent. */
export async function produceTopic(call: Call): Promise<undefined> {
  const { output } = call;
  const input = call.text('input');
  if (input === undefined)
    throw new MillraceError('ERR_USAGE', '--input FILE is missing ("-" reads standard input)');
  const server = findServer(call.settings);
  const path = `/v1/topics/${encodeURIComponent(call.arg(0))}/records`;
  let produced = 0;
  for await (const group of groupLines(readLines(input), REQUEST_LIMIT)) {
    const body = joinLines(group);
    const contentType = 'application/x-ndjson';
    const document = await askDocument<{ produced: number }>(server, {
      method: 'POST',
      path,
      body,
      contentType,
    });
    produced += document.produced;
    output.progress(`${formatCount(produced)} records`);
  }
  output.progress('');
  output.document(
    { topic: call.arg(0), produced },
    () => `${formatCounted(produced, 'record', 'records')} produced\n`,
  );
}
