import type { ComponentDocument } from '../core/documents.ts';
import { type Ledger, standingsOf } from '../observability/conservation.ts';
import { type Stall, StallWatch } from '../observability/stall-watch.ts';
import { ARCHIVE_GROUP } from '../runtime/archive/offsets.ts';
import type { Pipeline } from './compose.ts';
import { ledgerOf } from './status.ts';

/** Readers that stand still, as the status tells them. */
export interface Stalls {
  /** A component for each reader that stalls. */
  look(ledger: Ledger): readonly ComponentDocument[];
  close(): void;
}

/** How often the log is looked at where nobody asks for the status. */
const STALL_LOOK_MS = 10_000;

/** Looks for readers that stand still, whether or not anybody asks, and logs when one begins to and goes on. */
export function watchStalls(pipeline: Pipeline, environment: string): Stalls {
  const { log, config, logger } = pipeline;
  const stallMs = config['observability.stallMs'];
  // What the archive holds open is committed with its object.
  const openMs = config['archive.openMsMax'];
  const watch = new StallWatch(group => (group === ARCHIVE_GROUP ? openMs + stallMs : stallMs));
  let known: ReadonlySet<string> = new Set();
  const look = (ledger: Ledger) => {
    const documents = stallDocuments(
      watch.look(standingsOf(ledger), performance.now()),
      config['log.adapter'],
    );
    for (const { name, detail } of documents)
      if (!known.has(name)) logger.error({ reader: name, why: detail }, 'stalled');
    const names = new Set(documents.map(({ name }) => name));
    for (const name of known) if (!names.has(name)) logger.warn({ reader: name }, 'goes on');
    known = names;
    return documents;
  };
  const lookByItself = async () => {
    // A log that does not answer is told by whoever needs it.
    const state = await log.describe().catch(() => undefined);
    if (state !== undefined) look(ledgerOf(pipeline, environment, state));
  };
  const timer = setInterval(() => void lookByItself(), Math.min(STALL_LOOK_MS, stallMs / 2));
  timer.unref();
  return { look, close: () => clearInterval(timer) };
}

/** One component for each group that stalls: where it has stood longest. Failed where it stands in all partitions. */
function stallDocuments(stalls: readonly Stall[], adapter: string): readonly ComponentDocument[] {
  return [...Map.groupBy(stalls, ({ group }) => group)].map(([group, own]) => {
    const { topic, partition, offset, stillMs, isWhole } = own.reduce((a, b) =>
      b.stillMs > a.stillMs ? b : a,
    );
    const waiting = own.reduce((sum, stall) => sum + stall.waiting, 0);
    const place = `offset ${offset} of ${topic} partition ${partition}`;
    const detail = `stands still at ${place} for ${Math.floor(stillMs / 1000)} s; ${waiting} records wait`;
    return { name: `reader.${group}`, adapter, state: isWhole ? 'failed' : 'degraded', detail };
  });
}
