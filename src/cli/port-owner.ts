import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Who listens on a port. */
export interface PortOwner {
  readonly pid: number;
  readonly name: string;
}

const LISTENING = '0A';

/**
 * The process of this machine that listens on a TCP port, as Linux tells; undefined where none does, or where it is
 * another user's and may not be seen.
 */
export function portOwner(port: number): PortOwner | undefined {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap(file => listenersOn(file, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of namesIn('/proc').filter(name => /^\d+$/.test(name))) {
    const sockets = namesIn(`/proc/${pid}/fd`).map(fd => linkAt(`/proc/${pid}/fd/${fd}`));
    if (!sockets.some(link => inodes.has(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? ''))) continue;
    return { pid: Number(pid), name: textAt(`/proc/${pid}/comm`).trim() };
  }
  return undefined;
}

/** Inodes of the sockets that listen on the port. */
function listenersOn(file: string, port: number): readonly string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const rows = textAt(file)
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(/\s+/));
  return rows
    .filter(([, local, , state]) => state === LISTENING && local?.endsWith(`:${wanted}`))
    .flatMap(columns => columns[9] ?? []);
}

// A process may end, or be another user's, between listing and looking: then it is not the one that is looked for.

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkAt(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function textAt(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
