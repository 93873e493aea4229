import type { SightingDocument, StageDocument, TraceDocument } from '../../query/contract.ts';
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
export function EventPath({ mid }: { readonly mid: string }) {
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
          title={sightings.length === 1 ? null : `Arrival ${index + 1} of ${sightings.length}`}
        />
      ))}
    </>
  );
}

function Sighting({
  sighting,
  title,
}: {
  readonly sighting: SightingDocument;
  readonly title: string | null;
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
        {sighting.stages.map((stage, index) => (
          <li key={`${stage.stage}${index}`} class={`is-${TONES[stage.outcome]}`}>
            <b>{stage.stage}</b> {WORDS[stage.outcome]}
            {stage.reason === null ? null : <span class="path-why">{stage.reason}</span>}
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
