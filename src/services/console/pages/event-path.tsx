import type { Json, SightingDocument, StageDocument, TraceDocument } from '../../query/contract.ts';
import { bareName } from '../model/format.ts';
import { RefusalBox, Time } from '../parts/bits.tsx';
import { read, useAnswer } from '../state/api.ts';
import { linkTo } from '../state/place.ts';
import { pulse } from '../state/pulse.ts';

const TONES: Readonly<Record<StageDocument['outcome'], string>> = { emit: 'ok', reject: 'bad', drop: 'warn' };
const WORDS: Readonly<Record<StageDocument['outcome'], string>> = {
  emit: 'passed',
  reject: 'rejected',
  drop: 'dropped',
};

/** Every arrival of an event and the stages it went through, in order. */
export function EventPath({ mid, flags }: { readonly mid: string; readonly flags: Json | undefined }) {
  const { answer } = useAnswer(mid, signal =>
    read<TraceDocument>(`/v1/trace/${encodeURIComponent(mid)}`, signal),
  );
  if (answer === undefined) return <div class="path-wait" />;
  if ('refusal' in answer) return <RefusalBox refusal={answer.refusal} />;
  const { sightings } = answer.value;
  return (
    <>
      {sightings.map((sighting, index) => (
        <Sighting
          key={`${sighting.source.offset}:${sighting.source.index}`}
          sighting={sighting}
          flags={flags}
          title={sightings.length === 1 ? null : `Arrival ${index + 1} of ${sightings.length}`}
        />
      ))}
    </>
  );
}

function Sighting({
  sighting,
  title,
  flags,
}: {
  readonly sighting: SightingDocument;
  readonly title: string | null;
  readonly flags: Json | undefined;
}) {
  const environment = pulse.value?.status.environment ?? '';
  const { source } = sighting;
  return (
    <>
      {title === null ? null : <p class="quiet">{title}</p>}
      <ol class="path">
        <li class="is-ok">
          <b>ingest</b> accepted <Time ms={sighting.receivedAtMs} />
          <Position
            topic={bareName(environment, source.topic)}
            text={`${source.partition}:${source.offset}, event ${source.index}`}
          />
        </li>
        {stepsOf(sighting.stages).map(({ names, stage }, index) => (
          <li key={`${stage.stage}${index}`} class={`is-${TONES[stage.outcome]}`}>
            <b>{names.join(', ')}</b> {isCopy(sighting.stages, stage) ? 'copied it' : WORDS[stage.outcome]}{' '}
            {stage.reason === null ? null : <span class="path-why">{stage.reason}</span>}
            {stage.stage === 'denormalise' ? <span class="path-where">{lookedUp(flags)}</span> : null}
            {stage.topic === null ? null : (
              <Position
                topic={bareName(environment, stage.topic)}
                text={`${stage.partition}:${stage.offset}`}
              />
            )}
          </li>
        ))}
        {sighting.archive.map(({ object, line }) => (
          <li key={object} class="is-ok">
            <b>archive</b> line {line} of <span class="mono path-object">{object}</span>
          </li>
        ))}
        {sighting.archive.length > 0 ? null : (
          <li class="is-muted">
            <b>archive</b> <span class="quiet">not in an object yet</span>
          </li>
        )}
      </ol>
    </>
  );
}

function Position({ topic, text }: { readonly topic: string; readonly text: string }) {
  return (
    <span class="path-where">
      <a href={linkTo(['topics', topic])}>{topic}</a> {text}
    </span>
  );
}

/** Stages one after another of which there is nothing to tell but that the event passed are one step. */
function stepsOf(
  stages: readonly StageDocument[],
): readonly { readonly names: readonly string[]; readonly stage: StageDocument }[] {
  const steps: { names: string[]; stage: StageDocument }[] = [];
  const isPlain = ({ stage, outcome, topic, reason }: StageDocument): boolean =>
    outcome === 'emit' && topic === null && reason === null && stage !== 'denormalise';
  for (const stage of stages) {
    const last = steps.at(-1);
    if (last !== undefined && isPlain(last.stage) && isPlain(stage)) last.names.push(stage.stage);
    else steps.push({ names: [stage.stage], stage });
  }
  return steps;
}

/** A job that let the event pass and wrote it to a topic on the side as well: its second stage is the copy. */
function isCopy(stages: readonly StageDocument[], stage: StageDocument): boolean {
  return stages.findIndex(other => other.stage === stage.stage) < stages.indexOf(stage);
}

/** The flags that denormalisation sets, with the master data they stand for. */
const LOOKED_UP: Readonly<Record<string, string>> = {
  device_denorm: 'device',
  user_denorm: 'user',
  content_denorm: 'content',
  dialcode_denorm: 'dialcode',
  loc_denorm: 'location',
};

/** What master data was found for an event, as its flags say. */
function lookedUp(flags: Json | undefined): string {
  if (typeof flags !== 'object' || flags === null) return '';
  const named = Object.entries(flags).filter(([name]) => Object.hasOwn(LOOKED_UP, name));
  const list = (isFound: boolean): string =>
    named.flatMap(([name, value]) => (value === isFound ? [LOOKED_UP[name]] : [])).join(', ');
  const [found, missed] = [list(true), list(false)];
  return [found === '' ? '' : `added ${found}`, missed === '' ? '' : `no master data of ${missed}`]
    .filter(text => text !== '')
    .join('; ');
}
