import type { Host } from '../../core/host.ts';
import type { Change, Step, StepContext } from '../../core/operation.ts';

/** How something differs from what it should be; texts as in {@link Change}. */
export type Difference = Pick<Change, 'before' | 'after'>;

/**
 * One thing that a server needs on its host: a package, a file, a running process. It knows how to tell whether
 * it is as it should be, and how to make it so.
 */
export interface Part {
  readonly step: string;
  readonly what: string;
  /**
   * Reads only; undefined where all is as it should be. Throws where it can be seen beforehand that `apply` would
   * fail: a taken port, a missing program.
   */
  observe(host: Host): Promise<Difference | undefined>;
  /** Safe to cut off anywhere and to do again. */
  apply(context: StepContext): Promise<void>;
  /** Of a part that runs processes: stops those of these names and starts them; resolves when they are ready. */
  restart?(context: StepContext, names: readonly string[]): Promise<void>;
}

/** What is not as it should be, in the order of the parts: plain data, so that two observations can be compared. */
export async function observeParts(host: Host, parts: readonly Part[]): Promise<readonly Change[]> {
  const changes: Change[] = [];
  for (const { step, what, observe } of parts) {
    const difference = await observe(host);
    if (difference !== undefined) changes.push({ step, what, ...difference });
  }
  return changes;
}

/** The steps that make an end of observed differences, in the order of the parts. Pure. */
export function planParts(parts: readonly Part[], observed: readonly Change[]): readonly Step[] {
  return parts.flatMap(part => {
    const change = observed.find(({ step }) => step === part.step);
    return change === undefined ? [] : [{ ...change, apply: part.apply }];
  });
}
