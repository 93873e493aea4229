/** The answer is parsed in the thread that serves HTTP: 16 MiB hold it up for about a tenth of a second. */
export const ANSWER_BYTES_MAX: number = 16 * 1024 * 1024;

/** A later column of the same name gets a number: `eid`, `eid_2`. */
export function distinctNames(names: readonly string[]): readonly string[] {
  const taken = new Set<string>();
  return names.map(name => {
    let free = name;
    for (let n = 2; taken.has(free); n++) free = `${name}_${n}`;
    taken.add(free);
    return free;
  });
}
