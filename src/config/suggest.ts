/** ` (did you mean X?)`, or nothing where no known name is near. */
export function didYouMean(typed: string, known: Iterable<string>): string {
  const name = nearest(typed, known);
  return name === undefined ? '' : ` (did you mean ${name}?)`;
}

/**
 * The known name that a mistyped one most likely meant: fewer than half of its letters differ, case aside;
 * undefined where none is that near. The first of equally near ones.
 */
function nearest(typed: string, known: Iterable<string>): string | undefined {
  const wanted = typed.slice(0, 100).toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.ceil(wanted.length / 2);
  for (const name of known) {
    const found = distance(wanted, name.toLowerCase());
    if (found < bestDistance) {
      best = name;
      bestDistance = found;
    }
  }
  return best;
}

/** Edit distance of two texts: insertions, deletions, replacements and swaps of neighbours cost one each. */
function distance(left: string, right: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const current = [i];
    for (let j = 1; j <= right.length; j++) {
      const cost = left[i - 1] === right[j - 1] ? 0 : 1;
      let best = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + cost);
      const swapped = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1];
      if (swapped) best = Math.min(best, before[j - 2]! + 1);
      current.push(best);
    }
    before = previous;
    previous = current;
  }
  return previous[right.length]!;
}
