import { useMemo } from 'preact/hooks';
import type { Json } from '../../query/contract.ts';
import { type JsonLine, jsonLines, type Mark } from '../model/json-lines.ts';
import { copyText, saveText } from '../state/hand-out.ts';
import { VirtualLines } from './virtual-lines.tsx';

const NO_MARKS: ReadonlyMap<string, Mark> = new Map();
const SAID: Readonly<Record<Mark, string>> = {
  added: 'added here',
  changed: 'changed here',
  fault: 'this field',
  missing: '',
};

/** A JSON value as text, line by line, with marks beside the fields they name. Nothing in it becomes markup. */
export function JsonView({
  value,
  marks = NO_MARKS,
  name,
}: {
  readonly value: Json;
  readonly marks?: ReadonlyMap<string, Mark>;
  readonly name: string;
}) {
  const lines = useMemo(() => jsonLines(value, marks), [value, marks]);
  const reveal = useMemo(
    () => lines.findIndex(({ mark }) => mark === 'fault' || mark === 'missing'),
    [lines],
  );
  const text = (): string => JSON.stringify(value, null, 2);
  return (
    <div class="json">
      <div class="json-bar">
        <button type="button" class="button is-small" onClick={() => copyText(text())}>
          Copy JSON
        </button>
        <button
          type="button"
          class="button is-small"
          onClick={() => saveText(`${name}.json`, 'application/json', text())}
        >
          Save
        </button>
      </div>
      <VirtualLines
        count={lines.length}
        label="JSON"
        reveal={reveal}
        line={index => <Line line={lines[index]!} />}
      />
    </div>
  );
}

function Line({ line }: { readonly line: JsonLine }) {
  const said = line.mark === null || line.key === null ? '' : SAID[line.mark];
  return (
    <span class={line.mark === null ? 'json-line' : `json-line is-${line.mark}`}>
      {'  '.repeat(line.depth)}
      {line.key === null ? null : <span class="json-key">{JSON.stringify(line.key)}</span>}
      {line.key === null ? null : ': '}
      <span class={`json-${line.kind}`}>{line.text}</span>
      {said === '' ? null : <span class="json-said">{said}</span>}
    </span>
  );
}
