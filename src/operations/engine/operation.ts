import type { Config } from '../../config/options.ts';
import type { JsonObject } from '../../core/event.ts';
import type { Step } from '../../core/operation.ts';
import type { OperationTarget, ParameterMapping } from '../../core/operation-documents.ts';
import type { Release } from './release.ts';
import type { Site } from './site.ts';

/** Where an operation stands in the original's sequence. */
export type OperationFolder = 'Build' | 'OpsAdministration' | 'Provision' | 'Deploy';

/** What an operation is looked at and planned with. Nothing here changes during a run. */
export interface Scope {
  readonly environment: string;
  readonly config: Config;
  /** The files that run now, as a release. */
  readonly release: Release;
  readonly site: Site;
  /** The jobs that are to be deployed; empty: all. */
  readonly jobs: readonly string[];
  /** Whether undo takes data with it that it would leave otherwise. */
  readonly removesData: boolean;
}

/** An operation on one target: what it observes, plans and verifies there. */
export interface UnitSpec<Observed> {
  /** What is there now. Reads only: `plan` leaves the data directory byte for byte as it was. */
  observe(scope: Scope): Promise<Observed>;
  /** Whether anything of the operation is there: tells `drifted` from `absent`. */
  exists(observed: Observed): boolean;
  /** What is left to do, as data; pure. Throws `misuse` errors for what must not be done. */
  plan(observed: Observed, scope: Scope): readonly Step[];
  /** What receipts and `describe` tell of it; holds no secret. */
  report(observed: Observed): JsonObject;
  /**
   * Proves that it works, independent of what `apply` believes; resolves with what was seen. Throws
   * ERR_VERIFY_FAILED. Runs after a change, and after a run that was cut off.
   */
  verify(scope: Scope): Promise<JsonObject>;
  /** What takes it back, as data; absent where it has no undo. */
  undo?(observed: Observed, scope: Scope): Promise<readonly Step[]>;
  /** What restarts that which it runs by itself, as data; absent where it runs nothing by itself. */
  restart?(observed: Observed, scope: Scope, isRolling: boolean): readonly Step[];
  /** Names of the processes that it keeps on its host; absent where it keeps none. */
  processes?(observed: Observed): readonly string[];
  /** Parts that only a later release brings. */
  missing?(scope: Scope): readonly string[];
  /** What stands in for the original's component here. */
  readonly standIn?: string;
  /** Whether what it deploys is run by the process that serves the environment, from its next start on. */
  readonly isServed?: boolean;
}

/** One look at an operation: everything that follows from one observation. */
export interface Look {
  readonly exists: boolean;
  readonly steps: readonly Step[];
  readonly report: JsonObject;
  /** Names of the processes that it keeps on its host. */
  readonly processes: readonly string[];
  /** Undefined where the operation has no undo. */
  undoSteps(): Promise<readonly Step[]> | undefined;
  /** Undefined where it runs nothing by itself. `isRolling`: one process at a time, healthy in between. */
  restartSteps(isRolling: boolean): readonly Step[] | undefined;
}

/** A {@link UnitSpec} whose observation is its own affair. */
export interface Unit {
  look(scope: Scope): Promise<Look>;
  verify(scope: Scope): Promise<JsonObject>;
  missing(scope: Scope): readonly string[];
  readonly standIn: string | null;
  readonly isServed: boolean;
}

/** Makes a unit of its parts. */
export function defineUnit<Observed>(spec: UnitSpec<Observed>): Unit {
  return {
    async look(scope) {
      const observed = await spec.observe(scope);
      return {
        exists: spec.exists(observed),
        steps: spec.plan(observed, scope),
        report: spec.report(observed),
        processes: spec.processes?.(observed) ?? [],
        undoSteps: () => spec.undo?.(observed, scope),
        restartSteps: isRolling => spec.restart?.(observed, scope, isRolling),
      };
    },
    verify: scope => spec.verify(scope),
    missing: scope => spec.missing?.(scope) ?? [],
    standIn: spec.standIn ?? null,
    isServed: spec.isServed ?? false,
  };
}

/** One unit of several: their steps one after another, as one look and one verification. */
export function joinUnits(...units: readonly Unit[]): Unit {
  return {
    async look(scope) {
      const looks: Look[] = [];
      for (const unit of units) looks.push(await unit.look(scope));
      return {
        exists: looks.some(({ exists }) => exists),
        steps: looks.flatMap(({ steps }) => steps),
        report: Object.assign({}, ...looks.map(({ report }) => report)),
        processes: looks.flatMap(({ processes }) => processes),
        undoSteps: async () => {
          const steps = await Promise.all(looks.toReversed().map(one => one.undoSteps() ?? []));
          return steps.flat();
        },
        restartSteps(isRolling) {
          const steps = looks.flatMap(one => one.restartSteps(isRolling) ?? []);
          return steps.length === 0 ? undefined : steps;
        },
      };
    },
    async verify(scope) {
      const seen: JsonObject[] = [];
      for (const unit of units) seen.push(await unit.verify(scope));
      return Object.assign({}, ...seen);
    },
    missing: scope => units.flatMap(unit => unit.missing(scope)),
    standIn: null,
    isServed: units.some(({ isServed }) => isServed),
  };
}

/** One operation of the sequence; a file of its own, registered in `list.ts`. */
export interface Operation {
  readonly folder: OperationFolder;
  /** Last part of its path. */
  readonly name: string;
  /** Further spellings of the name; case never counts. */
  readonly aliases?: readonly string[];
  readonly title: string;
  readonly does: string;
  /** Ids (see {@link operationId}) of the operations that must be in place first. */
  readonly needs: readonly string[];
  /** What became of the original's parameters. */
  readonly parameters: readonly ParameterMapping[];
  /** Where it acts under a configuration. */
  target(config: Config): OperationTarget;
  /** What it does there; a target that is absent is refused by name. */
  readonly units: Partial<Record<OperationTarget, Unit>>;
}

/** Path without environment: `Provision/Kafka`; unique. */
export function operationId({ folder, name }: Pick<Operation, 'folder' | 'name'>): string {
  return `${folder}/${name}`;
}

/** The canonical path: `Provision/local/DataPipeline/Kafka`; Build has no environment. */
export function operationPath(
  { folder, name }: Pick<Operation, 'folder' | 'name'>,
  environment: string,
): string {
  return folder === 'Build' ? `Build/DataPipeline/${name}` : `${folder}/${environment}/DataPipeline/${name}`;
}
