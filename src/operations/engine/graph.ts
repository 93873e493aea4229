import { assert } from '../../core/errors.ts';
import { type Operation, operationId } from './operation.ts';

/** The operations by id; throws (a bug) where two share one, or one needs what is not there. */
export function indexOperations(operations: readonly Operation[]): ReadonlyMap<string, Operation> {
  const byId = new Map(operations.map(operation => [operationId(operation), operation]));
  assert(byId.size === operations.length, 'each operation has an id of its own');
  for (const operation of operations) {
    for (const need of operation.needs) {
      assert(byId.has(need), `${operationId(operation)} needs ${need}, which is in the list`);
    }
  }
  return byId;
}

/** The chosen operations with everything they need, in the order of the list. */
export function withNeeds(
  chosen: readonly Operation[],
  operations: readonly Operation[],
): readonly Operation[] {
  const byId = indexOperations(operations);
  const wanted = new Set<Operation>();
  const add = (operation: Operation): void => {
    if (wanted.has(operation)) return;
    wanted.add(operation);
    for (const need of operation.needs) add(byId.get(need)!);
  };
  for (const operation of chosen) add(operation);
  return operations.filter(operation => wanted.has(operation));
}

/**
 * Cuts operations into levels: each needs only what lies in levels before its own, or is not among them. Within
 * a level the order is the list's, and all may run at once. Throws (a bug) on a circle.
 */
export function levelsOf(operations: readonly Operation[]): readonly (readonly Operation[])[] {
  const levels: Operation[][] = [];
  const ids = new Set(operations.map(operationId));
  const done = new Set<string>();
  let left = [...operations];
  while (left.length > 0) {
    const level = left.filter(({ needs }) => needs.every(need => done.has(need) || !ids.has(need)));
    assert(level.length > 0, `no circle among ${left.map(operationId).join(', ')}`);
    levels.push(level);
    for (const operation of level) done.add(operationId(operation));
    left = left.filter(operation => !level.includes(operation));
  }
  return levels;
}
