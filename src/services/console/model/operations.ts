import type { OperationDocument, OperationState } from '../../query/contract.ts';

/** A folder of the sequence, with its operations in the documentation's order. */
export interface Folder {
  readonly name: string;
  readonly operations: readonly OperationDocument[];
}

/** Word and tone of each state. */
export const STATE_TONES: Readonly<Record<OperationState, string>> = {
  applied: 'ok',
  partial: 'info',
  drifted: 'warn',
  absent: 'muted',
  failed: 'bad',
};

/** Folders in the order in which the list first names them. */
export function foldersOf(operations: readonly OperationDocument[]): readonly Folder[] {
  const folders = new Map<string, OperationDocument[]>();
  for (const operation of operations) {
    const name = folderOf(operation.path);
    folders.set(name, [...(folders.get(name) ?? []), operation]);
  }
  return [...folders].map(([name, own]) => ({ name, operations: own }));
}

/** First part of a path. */
export function folderOf(path: string): string {
  return path.split('/', 1)[0] ?? path;
}

/** Last part of a path: the operation's name. */
export function nameOf(path: string): string {
  return path.split('/').at(-1) ?? path;
}

/** How some operations stand: `all 5 in place`, `3 of 5 in place, 1 failed, 1 drifted`. */
export function tallyOf(operations: readonly OperationDocument[]): string {
  const counts = new Map<OperationState, number>();
  for (const { state } of operations) counts.set(state, (counts.get(state) ?? 0) + 1);
  const amiss = (['failed', 'drifted', 'absent'] as const)
    .map(state => [state, counts.get(state) ?? 0] as const)
    .filter(([, count]) => count > 0);
  if (amiss.length === 0) return operations.length === 1 ? 'in place' : `all ${operations.length} in place`;
  const done = (counts.get('applied') ?? 0) + (counts.get('partial') ?? 0);
  const named = amiss.map(([state, count]) => `, ${count} ${state}`).join('');
  return `${done} of ${operations.length} in place${named}`;
}

/** What is selected: one operation, a folder, or `all`; the paths that a run of it names. */
export interface Selection {
  readonly title: string;
  readonly operations: readonly OperationDocument[];
  /** Set where it is one operation. */
  readonly one: OperationDocument | undefined;
}

/** The address's name for every operation. */
export const ALL = 'all';

/** What a name of the address stands for; undefined where it is none. */
export function selectionOf(
  name: string | undefined,
  operations: readonly OperationDocument[],
): Selection | undefined {
  if (name === undefined || name === '') return undefined;
  if (name === ALL) return { title: 'Every operation', operations, one: undefined };
  const one = operations.find(({ path }) => path === name);
  if (one !== undefined) return { title: one.title, operations: [one], one };
  const below = operations.filter(({ path }) => folderOf(path) === name);
  return below.length === 0 ? undefined : { title: name, operations: below, one: undefined };
}

/** `2 changes`, `1 change`. */
export function countedChanges(count: number): string {
  return count === 1 ? '1 change' : `${count} changes`;
}
