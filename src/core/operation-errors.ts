import { type ErrorRow, row } from './error-row.ts';

/** The errors of operations; part of the table of all errors. */
export const OPERATION_ERRORS = {
  ERR_NEEDS_UNMET: row(
    'unavailable',
    503,
    'an operation needs others that are not in place',
    'Run it without --only, or run first those that are named.',
  ),
  ERR_PLAN_STALE: row(
    'unavailable',
    503,
    'the plan is not what would be done now',
    'Look at it again and save it anew: millrace plan --out FILE',
  ),
  ERR_RELEASE_DRAFT: row(
    'unavailable',
    503,
    'the release is a draft: not all of its artifacts are built',
    'Build the rest: millrace run Build',
  ),
  ERR_VERIFY_FAILED: row(
    'unavailable',
    503,
    'what was applied does not work as it must',
    'See what was found; the operation stays failed until a run of it verifies.',
  ),
  ERR_RUN_CANCELLED: row(
    'unavailable',
    503,
    'the run was cancelled',
    'Run it again: it goes on where it was cut off.',
  ),
  ERR_UNCONFIRMED: row(
    'misuse',
    403,
    'the environment is protected',
    'Type its name after --confirm, where it is the one that is meant.',
  ),
  ERR_UNDO_REFUSED: row(
    'unavailable',
    503,
    'the operation cannot be taken back as things are',
    'See what stands against it.',
  ),
  ERR_OPERATION_UNKNOWN: row('misuse', 404, 'there is no such operation', 'millrace operations lists them.'),
  ERR_OPERATION_AMBIGUOUS: row(
    'misuse',
    400,
    'the name fits several operations',
    'Write one of the paths that are named.',
  ),
  ERR_OPERATION_TARGET: row(
    'misuse',
    400,
    'the operation cannot do that on this target',
    'See: millrace operations describe PATH',
  ),
} as const satisfies Record<string, ErrorRow>;
