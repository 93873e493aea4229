import { embeddedUnit } from './embedded-unit.ts';
import type { Unit } from './operation.ts';
import type { ExternalServer } from './site.ts';

/** An operation on a server that others run. */
export interface ExternalSpec {
  /** Names its record: `Provision-Kafka`. */
  readonly record: string;
  /** What is reached, in a few words. */
  readonly component: string;
  readonly server: ExternalServer;
  /** Sections of the configuration that say how it is reached. */
  readonly sections: readonly string[];
}

/**
 * The unit of an operation on target `external`: looks each time whether the server is reached, new enough and lets
 * the pipeline do what it must, and throws by name where not, before anything is changed. It keeps a record of what it
 * was set up for; nothing on the server is its own, so there is nothing of it that undo would touch.
 */
export function externalUnit({ record, component, server, sections }: ExternalSpec): Unit {
  return embeddedUnit({
    record,
    component,
    sections,
    async steps({ site }) {
      await site.check(server);
      return [];
    },
    holds: async () => null,
    verify: ({ site }) => site.check(server),
  });
}
