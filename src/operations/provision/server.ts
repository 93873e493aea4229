import type { Config } from '../../config/options.ts';
import type { Host } from '../../core/host.ts';
import type { Part } from './part.ts';
import type { PortBlock } from './ports.ts';

/** Where an environment keeps its servers on a host; paths are absolute. */
export interface Place {
  readonly environment: string;
  /** `<data>/<environment>`. */
  readonly root: string;
  /** Downloads and builds, shared by all data directories. */
  readonly cache: string;
  readonly ports: PortBlock;
}

/** What a server is made from. */
export interface ServerContext {
  readonly host: Host;
  readonly place: Place;
  readonly config: Config;
}

/** A secret that is drawn for a server; paths are absolute. */
export interface ServerSecret {
  /** As `secrets rotate` names it. */
  readonly name: string;
  readonly file: string;
  /** Files made from it. They go when it is drawn anew, so that it is seen that the server knows another one. */
  readonly made: readonly string[];
  /** Where a new one waits until the server has taken it; absent where it needs no old one to take it. */
  readonly nextFile?: string;
  readonly usedBy: string;
  /** Whether the pipeline logs in with it: it is not changed under what serves. */
  readonly isServedWith: boolean;
}

/** A server on a host: what it needs there, how to ask it, and how the pipeline reaches it. */
export interface Server {
  readonly name: 'redis' | 'postgres' | 'kafka-client' | 'zookeeper' | 'kafka';
  /** In the order in which they are applied; the last one starts it. */
  readonly parts: readonly Part[];
  /** Names of its processes, in the order in which they start. */
  readonly processes: readonly string[];
  /** The folder that is all its own, absolute; null where what it is lies in the cache alone. */
  readonly folder: string | null;
  /** What of that folder holds data: kept when the server is taken back. */
  readonly data: readonly string[];
  /** What opens the data. */
  readonly secrets: readonly ServerSecret[];
  /**
   * Asks the running server as its users will, whatever the parts say; resolves with what it is and where.
   * Throws ERR_NOT_READY with the last lines of its log.
   * @param msMax  how long it is asked again; absent: {@link READY_MS_MAX}, 0: it is asked once
   */
  verify(host: Host, msMax?: number): Promise<string>;
  /** The keys of the configuration that lead the pipeline to it. */
  readonly bindings: Partial<Config>;
}

/** A server that does not answer by then is broken: more than ten times what the slowest needs on two cores. */
export const READY_MS_MAX = 120_000;
