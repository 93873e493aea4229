import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { readText } from './managed-file.ts';
import type { Part } from './part.ts';

/** Where in its environment's block each server listens. Kafka has three brokers and three controllers at most. */
const OFFSETS = {
  kafka: 0,
  kafkaController: 3,
  zookeeper: 6,
  redis: 7,
  postgres: 8,
} as const;

/** Room for servers to come, so that a block once remembered stays whole. */
const BLOCK_PORTS = 32;
/** Below the ports that systems hand out by themselves (32768 on Linux, 49152 elsewhere). */
const FIRST_PORT = 20_000;
const BLOCK_COUNT = 384;

/** The block of ports of an environment on a host. */
export interface PortBlock {
  readonly base: number;
  /** The port of a server; `index` from 0 where there are several. */
  portOf(server: keyof typeof OFFSETS, index?: number): number;
  /** Remembers a block that was picked. */
  readonly part: Part;
}

/**
 * The block of an environment: the configured one, else the one that `<root>/ports.json` remembers, else a free
 * one. Which blocks are tried in what order follows from the environment's folder, so that two environments
 * hardly ever meet and a plan says what apply will do. Reads only.
 */
export async function choosePorts(host: Host, root: string, configuredBase: number): Promise<PortBlock> {
  const file = join(root, 'ports.json');
  const remembered = rememberedBase(await readText(host, file), file);
  const base = configuredBase > 0 ? configuredBase : (remembered ?? (await pickBase(host, root)));
  return {
    base,
    portOf: (server, index = 0) => base + OFFSETS[server] + index,
    part: {
      step: 'ports',
      what: 'remember the ports of the environment',
      async observe(observed) {
        const now = rememberedBase(await readText(observed, file), file);
        if (now === base) return undefined;
        return { before: now === undefined ? null : blockText(now), after: blockText(base) };
      },
      apply: async context => {
        if ((await context.host.stat(root)) === undefined) {
          await context.host.makeFolder(root, { mode: 0o711 });
        }
        await context.host.put(file, `${JSON.stringify({ base })}\n`, { mode: 0o600 });
      },
    },
  };
}

async function pickBase(host: Host, root: string): Promise<number> {
  const start = createHash('sha256').update(root).digest().readUInt32BE() % BLOCK_COUNT;
  for (let index = 0; index < BLOCK_COUNT; index++) {
    const base = FIRST_PORT + ((start + index) % BLOCK_COUNT) * BLOCK_PORTS;
    if (await isBlockFree(host, base)) return base;
  }
  throw new MillraceError('ERR_PORT_TAKEN', `no ${BLOCK_PORTS} ports in a row are free`, {
    remedy: 'Set host.portBase to the first port of a block for the servers.',
  });
}

async function isBlockFree(host: Host, base: number): Promise<boolean> {
  for (let port = base; port < base + BLOCK_PORTS; port++) {
    if (!(await host.isPortFree(port))) return false;
  }
  return true;
}

function rememberedBase(text: string | undefined, file: string): number | undefined {
  if (text === undefined) return undefined;
  try {
    const { base } = JSON.parse(text) as { base?: unknown };
    if (typeof base === 'number' && Number.isInteger(base) && base > 0) return base;
  } catch {
    // Said below.
  }
  throw new MillraceError('ERR_DATA_FORMAT', `${file} does not hold {"base": port}`, {
    remedy: `Write {"base": N} with the first port of the running servers into ${file}, or stop them and remove it.`,
  });
}

function blockText(base: number): string {
  return `ports ${base} to ${base + BLOCK_PORTS - 1}`;
}
