import type { Explanation } from '../model/explain.ts';
import { copyText } from '../state/hand-out.ts';

/** Why an event was rejected, and the line that its client needs. */
export function ExplainBox({
  code,
  explanation,
}: {
  readonly code: string;
  readonly explanation: Explanation;
}) {
  const { rule, found, fix, example } = explanation;
  return (
    <div class="explain">
      <p class="explain-rule">{rule}</p>
      {found === null ? null : (
        <p>
          The event has <code>{found}</code>
        </p>
      )}
      <p>
        <b>Fix:</b> {fix}
      </p>
      {example === null ? null : (
        <p class="explain-example">
          <code>{example}</code>
          <button type="button" class="button is-small" onClick={() => copyText(example)}>
            Copy
          </button>
        </p>
      )}
      <p class="quiet mono">{code}</p>
    </div>
  );
}
