import type { Run } from './call.ts';

/** One command as `--help`, the reference and the parser know it. */
export interface CommandSpec {
  /** Its words: `topics tail`. */
  readonly path: string;
  /** Arguments in commander's notation: `<topic>` required, `[key]` optional, `<file...>` one or more. */
  readonly args?: string;
  readonly does: string;
  /** Pairs of flags (in commander's notation) and their text. */
  readonly options?: readonly (readonly [flags: string, does: string])[];
  readonly examples: readonly string[];
  /** Words of the group that run this command when nothing follows them. */
  readonly isDefault?: boolean;
  readonly load: () => Promise<Run>;
}
