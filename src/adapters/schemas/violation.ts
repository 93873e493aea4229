import type { ErrorObject } from 'ajv';
import type { Violation } from '../../core/job.ts';

/** Longest name of an unknown field that is repeated; the client chose it, and it goes into headers. */
const NAME_LENGTH_MAX = 256;

/**
 * The one violation that helps: of the alternatives of an `anyOf` the one that got furthest into the event, else the
 * first. A missing or unknown field is named itself, not the object it is missing from.
 * @param errors  of one failed check, with `verbose`
 */
export function violationOf(errors: readonly ErrorObject[]): Violation {
  const [first, ...others] = errors;
  if (first === undefined) return { pointer: '', message: 'breaks a rule' };
  let chosen = first;
  for (const error of others) if (depthOf(error) > depthOf(chosen)) chosen = error;
  const { instancePath, params } = chosen;
  switch (chosen.keyword) {
    case 'required':
      return { pointer: `${instancePath}/${escapePart(params['missingProperty'])}`, message: 'is required' };
    case 'additionalProperties':
      return unknownField(instancePath, String(params['additionalProperty']));
    case 'type':
      return { pointer: instancePath, message: typeMessage(params['type'], chosen.data) };
    case 'enum':
      return { pointer: instancePath, message: `must be one of ${params['allowedValues'].join(', ')}` };
    case 'minLength':
      return { pointer: instancePath, message: `must have at least ${count(params['limit'], 'character')}` };
    default:
      return { pointer: instancePath, message: chosen.message ?? `breaks the rule ${chosen.keyword}` };
  }
}

function depthOf(error: ErrorObject): number {
  return error.instancePath.split('/').length;
}

function unknownField(instancePath: string, name: string): Violation {
  if (name.length > NAME_LENGTH_MAX) {
    return { pointer: instancePath, message: 'has a field that its schema does not know' };
  }
  return { pointer: `${instancePath}/${escapePart(name)}`, message: 'is not a field that its schema knows' };
}

/** A name as one part of a JSON pointer. */
export function escapePart(name: string): string {
  return String(name).replaceAll('~', '~0').replaceAll('/', '~1');
}

function typeMessage(wanted: string | readonly string[], data: unknown): string {
  const names = typeof wanted === 'string' ? [wanted] : wanted;
  return `must be ${names.map(withArticle).join(' or ')}, is ${withArticle(typeOf(data))}`;
}

function typeOf(data: unknown): string {
  if (data === null) return 'null';
  if (Array.isArray(data)) return 'array';
  return data === Number.POSITIVE_INFINITY || data === Number.NEGATIVE_INFINITY
    ? 'infinite number'
    : typeof data;
}

function withArticle(name: string): string {
  if (name === 'null') return name;
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}

function count(limit: number, noun: string): string {
  return `${limit} ${noun}${limit === 1 ? '' : 's'}`;
}
