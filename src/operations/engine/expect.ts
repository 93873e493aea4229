import { MillraceError } from '../../core/errors.ts';

/** Throws ERR_VERIFY_FAILED, saying what was found instead, where something does not hold. */
export function expectThat(holds: boolean, found: string): asserts holds {
  if (!holds) throw new MillraceError('ERR_VERIFY_FAILED', found);
}
