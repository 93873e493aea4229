/** One measured number. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: 'us' | '/s' | 'ratio' | 'bytes' | 'ms' | '';
  /** What the figure is held against, in the same unit; absent where it only informs. */
  readonly goal?: { readonly atLeast: number } | { readonly atMost: number };
}

/** CPU time of this process so far, all threads, microseconds. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** CPU of parsing each text once, per event, microseconds: the floor of everything that reads JSON. Best of three. */
export function parseFloorUs(texts: readonly Uint8Array[], events: number): number {
  const decoder = new TextDecoder();
  const rounds = [1, 2, 3].map(() => {
    const startedUs = cpuUs();
    for (const text of texts) JSON.parse(decoder.decode(text));
    return (cpuUs() - startedUs) / events;
  });
  return Math.min(...rounds);
}

/** Whether a figure keeps its goal; undefined where it has none. */
export function keepsGoal({ value, goal }: Figure): boolean | undefined {
  if (goal === undefined) return undefined;
  return 'atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost;
}
