import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import type { FileRights, FileState, Host } from '../../core/host.ts';
import type { Difference, Part } from './part.ts';

/** A file whose text is ours: what an operator edits by hand is found and put back. */
export interface ManagedFile {
  readonly step: string;
  readonly what: string;
  readonly path: string;
  readonly rights: FileRights;
  /** Undefined where it follows from a secret that is not drawn yet. */
  content(host: Host): Promise<string | undefined>;
  /** Whether its text may be shown; else differences say that there is one. */
  readonly isSecret?: boolean;
}

const SHOWN_LINES_MAX = 20;
const SECRET_BYTES = 24;
const SECRET = '(secret)';

/** A file of ours as a part. */
export function filePart(file: ManagedFile): Part {
  const { path, rights, step, what } = file;
  return {
    step,
    what,
    async observe(host) {
      const [wanted, found, state] = [await file.content(host), await host.read(path), await host.stat(path)];
      if (state === undefined || found === undefined || wanted === undefined) {
        return { before: found === undefined ? null : 'outdated', after: shown(file, wanted) };
      }
      const text = Buffer.from(found).toString('utf8');
      if (text !== wanted) return file.isSecret ? secretDifference() : lineDifference(text, wanted);
      return await rightsDifference(host, state, rights);
    },
    async apply({ host }) {
      const content = await file.content(host);
      if (content === undefined) throw new Error(`assertion failed: the secret of ${path} is drawn before`);
      await host.put(path, content, rights);
    },
  };
}

/** A folder with its rights as a part; those missing above it come with it, open for passing through. */
export function folderPart(step: string, path: string, rights: FileRights): Part {
  return {
    step,
    what: `create the folder ${path}`,
    async observe(host) {
      const state = await host.stat(path);
      if (state === undefined) return { before: null, after: await rightsText(host, rights) };
      return await rightsDifference(host, state, rights);
    },
    apply: ({ host }) => host.makeFolder(path, rights),
  };
}

/** A secret that is drawn once and stays: 32 characters of base64url in a file of mode 0600. */
export function secretPart(step: string, what: string, path: string): Part {
  const rights = { mode: 0o600 };
  return {
    step,
    what,
    async observe(host) {
      const state = await host.stat(path);
      if (state === undefined || state.sizeBytes === 0) return { before: null, after: SECRET };
      return await rightsDifference(host, state, rights);
    },
    async apply({ host }) {
      const found = await readSecret(host, path);
      if ((await host.stat(dirname(path))) === undefined) {
        await host.makeFolder(dirname(path), { mode: 0o700 });
      }
      await host.put(path, `${found ?? randomBytes(SECRET_BYTES).toString('base64url')}\n`, rights);
    },
  };
}

/** A file of ours whose text follows from a secret, and shows it: 0600, outdated until the secret is drawn. */
export function secretTextFile(
  file: Pick<ManagedFile, 'step' | 'what' | 'path'>,
  secretFile: string,
  textOf: (secret: string) => string,
): ManagedFile {
  return {
    ...file,
    rights: { mode: 0o600 },
    isSecret: true,
    async content(host) {
      const secret = await readSecret(host, secretFile);
      return secret === undefined ? undefined : textOf(secret);
    },
  };
}

/** The text of a secret's file without its line end; undefined where it is not drawn yet. */
export async function readSecret(host: Host, path: string): Promise<string | undefined> {
  const found = await readText(host, path);
  return found === undefined || found.trim() === '' ? undefined : found.trim();
}

/** The text of a file; undefined where it is not there. */
export async function readText(host: Host, path: string): Promise<string | undefined> {
  const found = await host.read(path);
  return found === undefined ? undefined : Buffer.from(found).toString('utf8');
}

async function rightsDifference(
  host: Host,
  state: FileState,
  rights: FileRights,
): Promise<Difference | undefined> {
  const before = textOf(state);
  const after = await rightsText(host, rights);
  return before === after ? undefined : { before, after };
}

async function rightsText(host: Host, { mode, owner }: FileRights): Promise<string> {
  return textOf({ mode, owner: owner ?? (await host.facts()).user });
}

function textOf({ mode, owner }: Required<FileRights>): string {
  return `rights ${mode.toString(8).padStart(4, '0')} of ${owner}`;
}

function secretDifference(): Difference {
  return { before: `another ${SECRET}`, after: SECRET };
}

function shown({ isSecret }: ManagedFile, text: string | undefined): string {
  return isSecret || text === undefined ? SECRET : cut(text.trimEnd().split('\n'));
}

/** The lines that only one of the texts has. */
function lineDifference(found: string, wanted: string): Difference {
  const [before, after] = [found.trimEnd().split('\n'), wanted.trimEnd().split('\n')];
  const only = (lines: readonly string[], others: readonly string[]) =>
    cut(lines.filter(line => !others.includes(line)));
  const [removed, added] = [only(before, after), only(after, before)];
  if (removed === '' && added === '') return { before: 'in another order', after: 'in order' };
  return { before: removed || '(no such line)', after: added || '(no such line)' };
}

function cut(lines: readonly string[]): string {
  const rest = lines.length - SHOWN_LINES_MAX;
  return [...lines.slice(0, SHOWN_LINES_MAX), ...(rest > 0 ? [`… ${rest} more lines`] : [])].join('\n');
}
