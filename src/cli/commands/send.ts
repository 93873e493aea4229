import { randomInt } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { ERRORS, MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { isErrorCode } from '../error-code.ts';
import { formatBytes, formatCount, formatCounted, printable } from '../format.ts';
import { findServer } from '../http-client.ts';
import { readBatches } from '../read-batches.ts';
import { type OutgoingBatch, type SendDocument, type SendTotals, sendBatches } from '../send-batches.ts';
import { paceSamples } from '../send-sample.ts';

const REFUSED_SHOWN_MAX = 20;
const NOTE_MS = 10_000;

/** `send FILE…` and `send --sample`: exit 1 where a batch was refused. */
export async function send(call: Call): Promise<number> {
  const { args, output } = call;
  const isSample = call.flag('sample');
  if (isSample === args.length > 0) {
    throw new MillraceError('ERR_USAGE', 'give files to send, or --sample', {
      remedy: 'millrace send --help',
    });
  }
  // What was typed wrongly is said first, whether anything serves or not.
  const concurrency = call.integer('concurrency', 1, 16) ?? 1;
  const bytesInAll = isSample ? undefined : await sizeOf(args);
  const batches = isSample ? samples(call) : filesOf(args);
  const server = findServer(call.settings);
  const progress = showProgress(call, bytesInAll);
  const sent = await sendBatches(server, batches, { concurrency, onAnswer: progress });
  output.progress('');
  const document: SendDocument = { files: args.length, ...sent };
  output.document(document, () => sendText(document));
  return document.refused === 0 ? 0 : 1;
}

async function* filesOf(files: readonly string[]): AsyncGenerator<OutgoingBatch> {
  for (const file of files) yield* readBatches(file);
}

/** Ctrl-C ends the making, not the counting: what was sent is still reported. */
function samples(call: Call): AsyncGenerator<OutgoingBatch> {
  const rate = call.integer('rate', 1, 1_000_000);
  const count = call.integer('count', 1, 1_000_000_000);
  const seed = call.integer('seed', 0, 2 ** 32 - 1) ?? randomInt(2 ** 32);
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  return paceSamples({
    rate: rate ?? Number.POSITIVE_INFINITY,
    count: count ?? (rate === undefined ? 100 : Number.POSITIVE_INFINITY),
    seed,
    signal: interrupted.signal,
  });
}

/** Bytes of all files, undefined with standard input. Throws ERR_FILE_UNREADABLE before anything is sent. */
async function sizeOf(files: readonly string[]): Promise<number | undefined> {
  let bytes = 0;
  for (const file of files) {
    if (file === '-') return undefined;
    const found = await stat(file).catch((cause: Error) => {
      throw new MillraceError('ERR_FILE_UNREADABLE', cause.message, { cause });
    });
    if (found.isDirectory()) throw new MillraceError('ERR_FILE_UNREADABLE', `${file} is a folder`);
    bytes += found.size;
  }
  return bytes;
}

function showProgress({ output }: Call, bytesInAll: number | undefined): (totals: SendTotals) => void {
  let shownMs = Date.now();
  const waitMs = output.interactive ? 100 : NOTE_MS;
  return totals => {
    if (Date.now() - shownMs < waitMs) return;
    shownMs = Date.now();
    const counts = `${batchesText(totals)}, ${eventsText(totals)}`;
    const text = `${barOf(totals.bytes, bytesInAll)} ${counts}, ${formatCount(totals.refused)} refused`;
    if (output.interactive) output.progress(text);
    else output.note(text);
  };
}

function barOf(bytes: number, bytesInAll: number | undefined): string {
  if (bytesInAll === undefined || bytesInAll === 0) return formatBytes(bytes);
  const share = Math.min(1, bytes / bytesInAll);
  return `[${'#'.repeat(Math.round(share * 20)).padEnd(20)}] ${String(Math.round(share * 100)).padStart(3)} %`;
}

function sendText(document: SendDocument): string {
  const refused = document.results.filter(result => result.status !== 200);
  const lines = refused.slice(0, REFUSED_SHOWN_MAX).map(({ file, line, status, params }) => {
    const why = [params['err'], params['errmsg']].filter(part => typeof part === 'string').join(': ');
    return printable(`${file ?? 'sample'}:${line}: ${status} ${why}`);
  });
  const hidden = document.refused - lines.length;
  if (hidden > 0) lines.push(`… and ${formatCount(hidden)} more; --json lists them`);
  const codes = new Set(refused.map(({ params }) => String(params['err'])).filter(isErrorCode));
  for (const code of codes) lines.push(`  try, for ${code}: ${ERRORS[code].remedy}`);
  const accepted = formatCount(document.accepted);
  const verdict = `${accepted} accepted, ${formatCount(document.refused)} refused`;
  lines.push(`${batchesText(document)} with ${eventsText(document)} sent: ${verdict}`);
  return `${lines.join('\n')}\n`;
}

function batchesText({ batches }: { readonly batches: number }): string {
  return formatCounted(batches, 'batch', 'batches');
}

function eventsText({ events }: { readonly events: number }): string {
  return formatCounted(events, 'event', 'events');
}
