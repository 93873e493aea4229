import type { ComponentDocument, StatusDocument } from '../core/documents.ts';
import { MillraceError } from '../core/errors.ts';
import type { LogState, TableReader } from '../core/ports.ts';
import type { Ledger } from '../observability/conservation.ts';
import type { Pipeline } from './compose.ts';
import { readersOf } from './compose-jobs.ts';

/** A thread that does not answer within this time is reported, not waited for. */
const ANSWER_MS_MAX = 2_000;

/** The accounts' inputs: the log's state with who reads what. */
export function ledgerOf(pipeline: Pipeline, environment: string, state: LogState): Ledger {
  const { jobs, layout, config } = pipeline;
  const groups = readersOf(layout, config);
  return { environment, state, jobs, groups, isStored: layout.isStored };
}

/** The state of every component, in the order an event meets them. The tables are asked for something small. */
export async function componentDocuments(
  pipeline: Pipeline,
  state: LogState,
  reader: TableReader,
): Promise<readonly ComponentDocument[]> {
  const { config, chain } = pipeline;
  const refusal = pipeline.log.admission();
  const [marks, sinks, unread] = await Promise.all([
    answerOf(chain[0]?.calls.markCount() ?? Promise.resolve(null)),
    answerOf(pipeline.sinks.calls.trouble()),
    answerOf(readTrouble(reader)),
  ]);
  const lost = state.quarantined.reduce((sum, range) => sum + range.toOffset - range.fromOffset, 0);
  const quarantine = lost === 0 ? '' : `, ${lost} offsets quarantined`;
  return [
    component(
      'ingest',
      'embedded',
      refusal === null ? null : `refuses: ${refusal.message}: ${refusal.why}`,
      'accepts',
    ),
    component(
      'log',
      config['log.adapter'],
      lost === 0 ? null : `${state.bytes} bytes${quarantine}`,
      `${state.bytes} bytes`,
    ),
    failable('state', config['state.adapter'], marks, count => ({
      trouble: null,
      detail: count === null ? 'its jobs run in other processes' : `${count} keys`,
    })),
    component('cache', config['cache.adapter'], null, 'open'),
    failable('tables', config['tables.adapter'], sinks, ({ tables }) => ({
      trouble: tables ?? ('value' in unread ? unread.value : 'they do not answer'),
      detail: onOff(config['tables.enabled']),
    })),
    failable('archive', 'local', sinks, ({ archive }) => ({
      trouble: archive,
      detail: onOff(config['archive.enabled']),
    })),
  ];
}

/** What each worker of the chain runs with. One that does not answer is missing here, and a failed component. */
export async function workerDocuments({ chain }: Pipeline): Promise<StatusDocument['workers']> {
  const answers = await Promise.all(chain.map(({ calls }) => answerOf(calls.schemasDigest())));
  return answers.flatMap(answer =>
    'value' in answer ? [{ role: 'chain', schemasDigest: answer.value }] : [],
  );
}

function onOff(isOn: boolean): string {
  return isOn ? 'on' : 'off';
}

function component(name: string, adapter: string, trouble: string | null, fine: string): ComponentDocument {
  return { name, adapter, state: trouble === null ? 'ok' : 'degraded', detail: trouble ?? fine };
}

/** Why the tables cannot be read; null where they can. The sink says so too, but only once it has something to do. */
async function readTrouble(reader: TableReader): Promise<string | null> {
  try {
    await reader.lastTimes();
    return null;
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return `${error.message}: ${error.why}`;
  }
}

type Answer<T> = { readonly value: T } | { readonly silent: string };

function failable<T>(
  name: string,
  adapter: string,
  answer: Answer<T>,
  read: (value: T) => { readonly trouble: string | null; readonly detail: string },
): ComponentDocument {
  if ('silent' in answer) return { name, adapter, state: 'failed', detail: answer.silent };
  const { trouble, detail } = read(answer.value);
  return component(name, adapter, trouble, detail);
}

async function answerOf<T>(call: Promise<T>): Promise<Answer<T>> {
  const late = Promise.withResolvers<Answer<T>>();
  const silent = `its thread did not answer within ${ANSWER_MS_MAX} ms`;
  const timer = setTimeout(() => late.resolve({ silent }), ANSWER_MS_MAX);
  try {
    return await Promise.race([call.then(value => ({ value })), late.promise]);
  } catch (error) {
    return { silent: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
