import type { Json, JsonObject } from './event.ts';

/** Something that a schema refuses and the version before may have accepted. */
export interface SchemaBreak {
  /** JSON pointer of the field in the event: `0` stands for any element of a list, `*` for any field not listed. */
  readonly pointer: string;
  readonly message: string;
}

/** A remark of the lint on a schema; an `error` keeps it from being added. */
export interface SchemaFinding {
  readonly severity: 'error' | 'warning';
  /** JSON pointer into the schema's file. */
  readonly pointer: string;
  readonly message: string;
}

/** One version of the schema of an eid. */
export interface SchemaRow {
  readonly eid: string;
  /** Version of the event format: what events carry as `ver`. */
  readonly eventVersion: string;
  /** Counts from 1 for each eid; the shipped one is 1. */
  readonly version: number;
  readonly origin: 'shipped' | 'own';
  /** `draft`: added, not yet published. `published`: events are held against it. `retired`: it was published. */
  readonly state: 'draft' | 'published' | 'retired';
  /** SHA-256 of the schema as it was written. */
  readonly digest: string;
  /** What it refuses and the version before accepted; not empty only where it was added with --incompatible. */
  readonly breaks: readonly SchemaBreak[];
}

/** What a worker holds events against: null where it does not answer, `detail` says why. */
export interface SchemaWorkerDocument {
  readonly worker: number;
  readonly digest: string | null;
  readonly detail: string;
}

/** The published set and what each worker of the chain says that it uses. */
export interface SchemaStateDocument {
  /** SHA-256 over the files of all published schemas; `shippedDigest` where none is the operator's. */
  readonly digest: string;
  /** SHA-256 over the files of the schemas that ship with the release. */
  readonly shippedDigest: string;
  readonly workers: readonly SchemaWorkerDocument[];
}

/** A set that was published: the version of each eid that is not the shipped one. */
export interface SchemaSetDocument {
  readonly digest: string;
  readonly publishedAtMs: number;
  readonly versions: Readonly<Record<string, number>>;
}

/** `schemas list`; sets oldest first, the last one is current. */
export interface SchemasDocument extends SchemaStateDocument {
  readonly schemas: readonly SchemaRow[];
  readonly sets: readonly SchemaSetDocument[];
}

/** `GET /v1/schemas/:eid`: a version with its schema, references put in. */
export interface SchemaDocument extends SchemaRow {
  readonly schema: JsonObject;
}

/** `schemas add`: the version; `changed` false where it is what is published already. */
export interface SchemaAddedDocument extends SchemaRow {
  readonly changed: boolean;
  readonly warnings: readonly SchemaFinding[];
}

/** `schemas publish`: what is current now; `changed` false where it was before. */
export interface SchemasPublishedDocument extends SchemaStateDocument {
  readonly changed: boolean;
  /** Versions that were made current, or gave way to the shipped one (`version` null). */
  readonly published: readonly { readonly eid: string; readonly version: number | null }[];
}

/** What the schema routes and commands ask. */
export interface SchemaDesk {
  /** Digest of the published set. */
  digest(): string;
  /** Digest of the schemas that ship with the release. */
  shippedDigest(): string;
  list(): Promise<SchemasDocument>;
  /** The published version of an eid, else its draft. Throws ERR_NOT_FOUND. */
  show(eid: string): SchemaDocument;
  /**
   * Adds a version of the eid that the schema pins; an earlier draft gives way to it.
   * @throws MillraceError ERR_SCHEMA_INVALID; ERR_SCHEMA_INCOMPATIBLE, unless `isIncompatible`
   */
  add(schema: Json, isIncompatible: boolean): Promise<SchemaAddedDocument>;
  /** Makes all drafts current in every worker, or an earlier set. Throws ERR_NOT_FOUND, ERR_SCHEMA_INVALID. */
  publish(digest?: string): Promise<SchemasPublishedDocument>;
}
