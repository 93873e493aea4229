import { didYouMean } from '../../config/suggest.ts';
import { MillraceError } from '../../core/errors.ts';
import { type Operation, type OperationFolder, operationPath } from './operation.ts';

/** What paths are resolved against. */
export interface PathScope {
  readonly operations: readonly Operation[];
  /** Names of the environments that have a file. */
  readonly environments: readonly string[];
  /** Stands where the path names none. */
  readonly environment: string;
}

/** What a path names. */
export interface ResolvedPath {
  /** In the order of the list; one, or all below a prefix. */
  readonly operations: readonly Operation[];
  /** The environment that the path names; undefined where it names none. */
  readonly environment: string | undefined;
}

/** First parts of paths, in the original's spellings, without what is not a letter. */
const FOLDERS: Readonly<Record<string, OperationFolder>> = {
  build: 'Build',
  // Uploading an artifact is what sealing a release does.
  artifactupload: 'Build',
  opsadministration: 'OpsAdministration',
  devopsadministration: 'OpsAdministration',
  provision: 'Provision',
  deploy: 'Deploy',
};

/** The one module of the original's jobs that is there; between environment and name. */
const MODULE = 'datapipeline';

/**
 * Resolves a path as it was typed: the canonical one, any case, an alias, without `DataPipeline` or the
 * environment, a prefix (all below it), or the last name alone.
 * @throws ERR_OPERATION_UNKNOWN with the nearest paths, ERR_OPERATION_AMBIGUOUS with all that fit
 */
export function resolvePath(text: string, scope: PathScope): ResolvedPath {
  const parts = partsOf(text);
  const folder = folderOf(parts[0]);
  if (folder === undefined) return resolveName(text, parts, scope);
  const below = scope.operations.filter(operation => operation.folder === folder);
  const rest = parts.slice(1);
  const environment = takeEnvironment(rest, below, scope);
  // `Build/DataPipeline` is a prefix, although there is an operation of that name.
  if (rest[0] === MODULE) rest.shift();
  const [name, ...surplus] = rest;
  const named = name === undefined ? below : below.filter(operation => isNamed(operation, name));
  if (named.length === 0 || surplus.length > 0) throw unknown(text, scope);
  return { operations: named, environment };
}

/** Removes the environment from the parts behind the folder, if one stands there. */
function takeEnvironment(rest: string[], below: readonly Operation[], scope: PathScope): string | undefined {
  const [first, second] = rest;
  if (first === undefined || first === MODULE) return undefined;
  const isName = (list: readonly Operation[]) => list.some(operation => isNamed(operation, first));
  const isKnown = scope.environments.includes(first);
  // `Provision/production/Kafka` and `Provision/production`, but neither `Provision/Kafka` nor `Provision/Kafka/Redis`.
  const isOther = second === undefined ? isName(below) || !isKnown : isName(scope.operations) && !isKnown;
  if (isOther) return undefined;
  rest.shift();
  return first;
}

function resolveName(text: string, parts: readonly string[], scope: PathScope): ResolvedPath {
  const [name, ...surplus] = parts.length > 1 && parts[0] === MODULE ? parts.slice(1) : parts;
  const named = name === undefined ? [] : scope.operations.filter(operation => isNamed(operation, name));
  if (named.length === 0 || surplus.length > 0) throw unknown(text, scope);
  if (named.length > 1) {
    const paths = named.map(operation => operationPath(operation, scope.environment));
    throw new MillraceError('ERR_OPERATION_AMBIGUOUS', `"${text}" is ${paths.join(' and ')}`, {
      remedy: `Write one of them: ${paths.join(', ')}`,
    });
  }
  return { operations: named, environment: undefined };
}

function partsOf(text: string): readonly string[] {
  return text
    .split('/')
    .map(plain)
    .filter(part => part !== '' && part !== '<env>');
}

function folderOf(part: string | undefined): OperationFolder | undefined {
  return FOLDERS[part?.replaceAll(/[^a-z]/g, '') ?? ''];
}

function isNamed({ name, aliases }: Operation, typed: string): boolean {
  return [name, ...(aliases ?? [])].some(spelling => plain(spelling) === typed);
}

function plain(text: string): string {
  return text.trim().toLowerCase();
}

function unknown(text: string, scope: PathScope): MillraceError {
  const pathOf = (operation: Operation) => operationPath(operation, scope.environment);
  const paths = scope.operations.map(pathOf);
  const names = scope.operations.map(({ name }) => name);
  const [first, ...rest] = partsOf(text).filter(part => part !== MODULE);
  const folder = folderOf(first);
  // Parts of a path that are right by themselves say more than how near its letters are to another one.
  const meant = scope.operations
    .filter(operation => operation.folder === folder && rest.some(part => isNamed(operation, part)))
    .map(pathOf);
  const near = didYouMean(text, text.includes('/') ? paths : names);
  const hint = meant.length > 0 ? ` (did you mean ${meant.join(' or ')}?)` : near;
  return new MillraceError('ERR_OPERATION_UNKNOWN', `there is no operation "${text}"${hint}`);
}
