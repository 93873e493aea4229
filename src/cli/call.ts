import type { Settings } from '../config/environment.ts';
import { MillraceError } from '../core/errors.ts';
import type { Output } from './output.ts';

/** How a command's module is called: resolves with the exit code, 0 where it returns nothing. */
export type Run = (call: Call) => Promise<number | undefined>;

/** One call of a command: what was typed, and where its answer goes. */
export class Call {
  readonly settings: Settings;
  readonly output: Output;
  /** The arguments in order; those that were left out are absent. */
  readonly args: readonly string[];
  readonly #options: Readonly<Record<string, unknown>>;

  constructor(
    settings: Settings,
    output: Output,
    typed: { readonly args: readonly string[]; readonly options: Readonly<Record<string, unknown>> },
  ) {
    this.settings = settings;
    this.output = output;
    this.args = typed.args;
    this.#options = typed.options;
  }

  /** A required argument: the parser has made sure of it. */
  arg(index: number): string {
    const value = this.args[index];
    if (value === undefined) throw new MillraceError('ERR_USAGE', `argument ${index + 1} is missing`);
    return value;
  }

  /** Whether a flag without value was given; `name` in camel case. */
  flag(name: string): boolean {
    return this.#options[name] === true;
  }

  /** The value of an option, or undefined where it was not given. */
  text(name: string): string | undefined {
    const value = this.#options[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** The values of an option that may be repeated, in order. */
  texts(name: string): readonly string[] {
    const value = this.#options[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** An option that must be an integer of `min` to `max`; throws ERR_USAGE. */
  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      const flag = `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`;
      throw new MillraceError('ERR_USAGE', `${flag} must be an integer of ${min} to ${max}, is "${text}"`);
    }
    return value;
  }
}
