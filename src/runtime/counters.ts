/** Adds deltas to the counters of equal names, in place; answers the counters. */
export function addCounters(
  counters: Record<string, number>,
  deltas: Readonly<Record<string, number>>,
): Record<string, number> {
  for (const name in deltas) counters[name] = (counters[name] ?? 0) + deltas[name]!;
  return counters;
}
