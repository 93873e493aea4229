import { readFileSync } from 'node:fs';
import { isMap, isScalar, LineCounter, type Node, type ParsedNode, parseDocument, type YAMLMap } from 'yaml';
import { MillraceError } from '../core/errors.ts';

/** A value of a configuration file, where it was written (`file:line`), and its dotted key as written. */
export interface FileEntry {
  readonly key: string;
  readonly value: unknown;
  readonly origin: string;
}

const FILE_BYTES_MAX = 1024 * 1024;

/**
 * Reads a configuration file: YAML whose keys are dotted (`dedup.ttlMs: 1`) or nested by section. Entries in
 * the order of the file; undefined where there is no such file. Throws ERR_CONFIG_INVALID on anything that is
 * not such YAML, ERR_FILE_UNREADABLE where the file cannot be read. `name` is what origins call the file.
 */
export function readConfigFile(path: string, name: string): readonly FileEntry[] | undefined {
  const text = readText(path, name);
  if (text === undefined) return undefined;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    const line = lines.linePos(problem.pos[0]).line;
    throw new MillraceError('ERR_CONFIG_INVALID', `${name}:${line}: ${problem.message}`);
  }
  const root: ParsedNode | null = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) return [];
  if (!isMap(root)) throw new MillraceError('ERR_CONFIG_INVALID', `${name}:1: must hold key: value pairs`);
  const originOf = (node: Node): string => `${name}:${lines.linePos(node.range?.[0] ?? 0).line}`;
  return entriesOf(root, '', originOf, node => node.toJS(document));
}

/** One level of sections: `section:` with a map below, all else is a value. */
function entriesOf(
  map: YAMLMap<unknown, unknown>,
  prefix: string,
  originOf: (node: Node) => string,
  plain: (node: Node) => unknown,
): readonly FileEntry[] {
  const entries: FileEntry[] = [];
  for (const { key: keyNode, value: valueNode } of map.items as readonly {
    key: Node;
    value: Node | null;
  }[]) {
    const key = prefix + String(plain(keyNode));
    if (isMap(valueNode) && prefix === '' && !key.includes('.')) {
      entries.push(...entriesOf(valueNode, `${key}.`, originOf, plain));
      continue;
    }
    const value = valueNode === null ? null : plain(valueNode);
    // `section:` with nothing below is an empty section: what is left when its keys are commented out.
    if (value === null && prefix === '' && !key.includes('.')) continue;
    entries.push({ key, value, origin: originOf(keyNode) });
  }
  return entries;
}

function readText(path: string, name: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MillraceError('ERR_FILE_UNREADABLE', `${path}: ${(cause as Error).message}`, { cause });
  }
  if (bytes.length > FILE_BYTES_MAX) {
    throw new MillraceError('ERR_CONFIG_INVALID', `${name} is larger than ${FILE_BYTES_MAX} bytes`);
  }
  return bytes.toString('utf8');
}
