/** Adds deltas to the counters of equal names, in place; answers the counters. */
export function addCounters(
  counters: Record<string, number>,
  deltas: Readonly<Record<string, number>>,
): Record<string, number> {
  for (const [name, delta] of Object.entries(deltas)) counters[name] = (counters[name] ?? 0) + delta;
  return counters;
}
