import { parseArgs } from 'node:util';

/** What may be asked of a benchmark; each has its own default, and leaves alone what it has no use for. */
export interface BenchOptions {
  /** `dedup-restart`: keys that are marked. */
  readonly keys?: number;
  /** `soak`: events a second. */
  readonly rate?: number;
  /** `soak`: how long events are sent. */
  readonly minutes?: number;
  /** `pipeline`, `pipeline-kafka`: only the variants whose names hold this. */
  readonly only?: string;
}

/** Names and options of a command line; a text that says what is wrong with it. */
export function parseBenchArguments(
  argv: readonly string[],
): { readonly names: readonly string[]; readonly options: BenchOptions } | string {
  try {
    const option = { type: 'string' } as const;
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: { keys: option, rate: option, minutes: option, only: option },
      allowPositionals: true,
    });
    const { only, ...numbers } = values;
    const entries = Object.entries(numbers).map(([name, text]) => [name, Number(text)] as const);
    const wrong = entries.find(([, value]) => !(value > 0 && value < Number.POSITIVE_INFINITY));
    if (wrong !== undefined) return `--${wrong[0]} is a number over 0`;
    const options = { ...Object.fromEntries(entries), ...(only === undefined ? {} : { only }) };
    return { names: positionals, options };
  } catch (error) {
    return (error as Error).message;
  }
}
