import type { OptionKey, OptionSpec } from './options.ts';
import { OPTIONS } from './options.ts';
import { didYouMean } from './suggest.ts';

/** A value as an option holds it. */
export type OptionValue = number | string | boolean | readonly string[];

/** A value, or what is wrong with it in words that follow the key's name: "must be …". */
export type Parsed = { readonly value: OptionValue } | { readonly problem: string };

const SWITCH: Readonly<Record<string, boolean>> = { on: true, true: true, off: false, false: false };

/**
 * Reads the value of a key from text (a variable, `--set`) or from what YAML made of it; both give the same
 * value for the same text. Lists are comma lists or YAML lists of texts; blank entries are left out.
 */
export function parseValue(key: OptionKey, raw: unknown): Parsed {
  const spec: OptionSpec = OPTIONS[key];
  switch (spec.type) {
    case 'integer':
      return parseInteger(spec, raw);
    case 'switch':
      return parseSwitch(raw);
    case 'list':
      return parseList(raw);
    default:
      return parseText(spec, raw);
  }
}

function parseInteger(spec: OptionSpec, raw: unknown): Parsed {
  const text = typeof raw === 'number' ? String(raw) : raw;
  if (typeof text !== 'string' || !/^-?\d{1,16}$/.test(text.trim())) {
    return { problem: `must be an integer, is ${show(raw)}` };
  }
  const value = Number(text);
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = spec;
  if (value < min || value > max) return { problem: `must be ${min} to ${max}, is ${show(raw)}` };
  return { value };
}

function parseSwitch(raw: unknown): Parsed {
  const word = String(raw).trim().toLowerCase();
  const known = typeof raw === 'boolean' || typeof raw === 'string';
  if (!known || !Object.hasOwn(SWITCH, word)) return { problem: `must be on or off, is ${show(raw)}` };
  return { value: SWITCH[word] === true };
}

function parseList(raw: unknown): Parsed {
  const entries = typeof raw === 'string' ? raw.split(',') : raw;
  if (!Array.isArray(entries)) return { problem: `must be a comma list, is ${show(raw)}` };
  const value: string[] = [];
  for (const entry of entries) {
    if (typeof entry !== 'string') return { problem: `must be a list of texts, holds ${show(entry)}` };
    if (entry.trim() !== '') value.push(entry.trim());
  }
  return { value };
}

function parseText(spec: OptionSpec, raw: unknown): Parsed {
  // YAML reads 0123 as the number 123: guessing the text back would change it.
  if (typeof raw !== 'string') return { problem: `must be text (put it in quotes), is ${show(raw)}` };
  if (spec.oneOf !== undefined && !spec.oneOf.includes(raw)) {
    return { problem: `must be ${spec.oneOf.join(' or ')}, is ${show(raw)}${didYouMean(raw, spec.oneOf)}` };
  }
  return { value: raw };
}

function show(raw: unknown): string {
  return (JSON.stringify(raw) ?? String(raw)).slice(0, 80);
}
