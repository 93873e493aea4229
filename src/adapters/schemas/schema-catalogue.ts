import { MillraceError } from '../../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../../core/event.ts';
import type {
  SchemaAddedDocument,
  SchemaBreak,
  SchemaDocument,
  SchemaRow,
  SchemaSetDocument,
} from '../../core/schema-documents.ts';
import { findBreaks } from './find-breaks.ts';
import {
  type PublishedFile,
  readAllVersions,
  readPublished,
  readVersions,
  type VersionFile,
  writePublished,
  writeVersion,
} from './schema-files.ts';
import {
  combineSchemas,
  type OwnSchema,
  readShipped,
  resolveOwn,
  type SchemaSet,
  type ShippedSchemas,
  schemaDigest,
} from './schema-set.ts';

/** Sets that a rollback can reach; the oldest go first. */
const SETS_MAX = 1000;
const EVENT_VERSION = '3.0';

/** Where the schemas are: those of the package, and the environment's own. */
export interface SchemaPlaces {
  readonly shipped: string;
  /** Need not exist. */
  readonly own: string;
}

/** A set that is about to be published. */
export interface PlannedSet {
  readonly versions: Readonly<Record<string, number>>;
  readonly set: SchemaSet;
  /** Against what is current now; `version` null: the shipped one, or none, comes back. */
  readonly changes: readonly { readonly eid: string; readonly version: number | null }[];
}

/** The published set of an environment. Throws ERR_SCHEMA_INVALID, ERR_FILE_UNREADABLE. */
export async function readPublishedSet(places: SchemaPlaces): Promise<SchemaSet> {
  const published = await readPublished(places.own);
  return readSetOf(places, published?.sets.at(-1)?.versions ?? {});
}

/** The set of some versions of the operator's. Throws ERR_SCHEMA_INVALID, ERR_FILE_UNREADABLE. */
export async function readSetOf(
  places: SchemaPlaces,
  versions: Readonly<Record<string, number>>,
): Promise<SchemaSet> {
  return combineSchemas(await readShipped(places.shipped), await readVersions(places.own, versions));
}

/** Every version there is and which are current. Only the owner of the environment's data may change it. */
export class SchemaCatalogue {
  readonly #places: SchemaPlaces;
  readonly shipped: ShippedSchemas;
  #versions: readonly VersionFile[];
  #published: PublishedFile | undefined;
  #current: SchemaSet | undefined;

  private constructor(places: SchemaPlaces, shipped: ShippedSchemas, versions: readonly VersionFile[]) {
    this.#places = places;
    this.shipped = shipped;
    this.#versions = versions;
  }

  /** Reads everything. Throws ERR_SCHEMA_INVALID, ERR_FILE_UNREADABLE. */
  static async open(places: SchemaPlaces): Promise<SchemaCatalogue> {
    const [shipped, versions] = [await readShipped(places.shipped), await readAllVersions(places.own)];
    const catalogue = new SchemaCatalogue(places, shipped, versions);
    catalogue.#published = await readPublished(places.own);
    return catalogue;
  }

  /** The published set, put together when asked for: one that cannot be must not keep another from coming back. */
  get current(): SchemaSet {
    this.#current ??= this.#setOf(this.#currentVersions());
    return this.#current;
  }

  /** Digest of the set without the operator's. */
  get shippedDigest(): string {
    return combineSchemas(this.shipped, []).digest;
  }

  /** The operator's versions that are published or drafts. */
  live(): readonly OwnSchema[] {
    return this.#versions.filter(version => this.#ownRow(version).state !== 'retired');
  }

  /** By eid, then version; the shipped one of an eid first. */
  rows(): readonly SchemaRow[] {
    const shipped = [...combineSchemas(this.shipped, []).events.keys()].map(eid => this.#shippedRow(eid));
    const own = this.#versions.map(version => this.#ownRow(version));
    // The sort keeps the order of equals.
    return [...shipped, ...own].sort((a, b) => (a.eid < b.eid ? -1 : a.eid > b.eid ? 1 : 0));
  }

  /** Sets that were published, oldest first. */
  sets(): readonly SchemaSetDocument[] {
    return this.#published?.sets ?? [];
  }

  /** The published version of an eid, else its draft. Throws ERR_NOT_FOUND. */
  show(eid: string): SchemaDocument {
    const rows = this.rows().filter(row => row.eid === eid);
    const row =
      rows.find(({ state }) => state === 'published') ?? rows.find(({ state }) => state === 'draft');
    if (row === undefined) {
      throw new MillraceError('ERR_NOT_FOUND', `no schema of ${eid} is published or added`, {
        remedy: 'millrace schemas list shows them; draft one: millrace schemas new EID',
      });
    }
    const version = this.#versions.find(
      own => row.origin === 'own' && own.eid === eid && own.version === row.version,
    );
    const schema = version === undefined ? this.current.events.get(eid)! : resolveOwn(version, this.shipped);
    return { ...row, schema };
  }

  /**
   * Adds a version of an eid after the one that is published; an earlier draft gives way to it.
   * @param linted  a schema that the lint found no error in
   * @throws MillraceError ERR_SCHEMA_INCOMPATIBLE, unless `isIncompatible`
   */
  async add(
    linted: { readonly eid: string; readonly document: Json; readonly schema: JsonObject },
    options: { readonly isIncompatible: boolean; readonly nowMs: number },
  ): Promise<Omit<SchemaAddedDocument, 'warnings'>> {
    const { eid, document, schema } = linted;
    const before = this.current.events.get(eid);
    if (before !== undefined && schemaDigest(before) === schemaDigest(schema)) {
      return { ...this.rows().find(row => row.eid === eid && row.state === 'published')!, changed: false };
    }
    const breaks = before === undefined ? [] : findBreaks(before, schema);
    if (breaks.length > 0 && !options.isIncompatible) throw incompatible(eid, breaks);
    if (!isObject(document)) throw new MillraceError('ERR_SCHEMA_INVALID', 'it is not a JSON object');
    const version = this.#nextVersion(eid);
    const added = { eid, version, addedAtMs: options.nowMs, breaks, schema: document };
    await writeVersion(this.#places.own, added);
    const others = this.#versions.filter(own => own.eid !== eid || own.version !== version);
    this.#versions = [...others, added];
    return { ...this.#ownRow(added), changed: true };
  }

  /**
   * What publishing would make current: what is now, with each draft in its place, or an earlier set by its digest.
   * @throws MillraceError ERR_NOT_FOUND, ERR_SCHEMA_INVALID; ERR_SCHEMA_INCOMPATIBLE where another set was published
   *         since a draft was added
   */
  plan(digest: string | undefined): PlannedSet {
    const versions = digest === undefined ? this.#withDrafts() : this.#versionsOf(digest);
    const now = this.#currentVersions();
    const eids = [...new Set([...Object.keys(now), ...Object.keys(versions)])].sort();
    const changes = eids
      .filter(eid => now[eid] !== versions[eid])
      .map(eid => ({ eid, version: versions[eid] ?? null }));
    return { versions, set: this.#setOf(versions), changes };
  }

  /** Makes a planned set current: durable when it resolves. */
  async record({ versions, set }: PlannedSet, nowMs: number): Promise<void> {
    const highest = { ...this.#published?.highest };
    for (const [eid, version] of Object.entries(versions))
      highest[eid] = Math.max(highest[eid] ?? 0, version);
    // The set before the first is the shipped one: a rollback must be able to reach it.
    const before = this.#published?.sets ?? [
      { digest: this.current.digest, publishedAtMs: nowMs, versions: {} },
    ];
    const sets = [...before, { digest: set.digest, publishedAtMs: nowMs, versions }].slice(-SETS_MAX);
    const published = { highest, sets };
    await writePublished(this.#places.own, published);
    this.#published = published;
    this.#current = set;
  }

  #setOf(versions: Readonly<Record<string, number>>): SchemaSet {
    const own = Object.entries(versions).map(([eid, version]) => this.#find(eid, version));
    return combineSchemas(this.shipped, own);
  }

  #currentVersions(): Readonly<Record<string, number>> {
    return this.#published?.sets.at(-1)?.versions ?? {};
  }

  #withDrafts(): Readonly<Record<string, number>> {
    const versions: Record<string, number> = { ...this.#currentVersions() };
    for (const draft of this.#versions.filter(version => this.#isDraft(version))) {
      const before = this.current.events.get(draft.eid);
      const breaks = before === undefined ? [] : findBreaks(before, resolveOwn(draft, this.shipped));
      if (breaks.length > 0 && draft.breaks.length === 0) throw incompatible(draft.eid, breaks);
      versions[draft.eid] = draft.version;
    }
    return versions;
  }

  #versionsOf(digest: string): Readonly<Record<string, number>> {
    const set = this.sets().findLast(known => known.digest.startsWith(digest));
    if (set !== undefined) return set.versions;
    throw new MillraceError('ERR_NOT_FOUND', `no set with the digest ${digest} was published`, {
      remedy: 'millrace schemas list shows the sets.',
    });
  }

  #find(eid: string, version: number): OwnSchema {
    const found = this.#versions.find(own => own.eid === eid && own.version === version);
    if (found !== undefined) return found;
    throw new MillraceError('ERR_SCHEMA_INVALID', `version ${version} of ${eid} is not there`);
  }

  #isDraft({ eid, version }: OwnSchema): boolean {
    return version > (this.#published?.highest[eid] ?? 0);
  }

  /** Of a draft its own number: it is written over. */
  #nextVersion(eid: string): number {
    const published = this.#published?.highest[eid];
    if (published !== undefined) return published + 1;
    const draft = this.#versions.find(own => own.eid === eid);
    return draft?.version ?? (this.#isShipped(eid) ? 2 : 1);
  }

  #isShipped(eid: string): boolean {
    return combineSchemas(this.shipped, []).events.has(eid);
  }

  #shippedRow(eid: string): SchemaRow {
    const document = this.shipped.documents.get(`${eid.toLowerCase()}.json`)!;
    const state = this.#currentVersions()[eid] === undefined ? 'published' : 'retired';
    const digest = schemaDigest(document);
    return { eid, eventVersion: EVENT_VERSION, version: 1, origin: 'shipped', state, digest, breaks: [] };
  }

  #ownRow(own: VersionFile): SchemaRow {
    const { eid, version, breaks } = own;
    const isCurrent = this.#currentVersions()[eid] === version;
    const state = isCurrent ? 'published' : this.#isDraft(own) ? 'draft' : 'retired';
    const digest = schemaDigest(own.schema);
    return { eid, eventVersion: EVENT_VERSION, version, origin: 'own', state, digest, breaks };
  }
}

function incompatible(eid: string, breaks: readonly SchemaBreak[]): MillraceError {
  const listed = breaks.map(({ pointer, message }) => `${pointer || 'the event'} ${message}`).join('; ');
  return new MillraceError('ERR_SCHEMA_INCOMPATIBLE', `${eid}: ${listed}`, {
    remedy:
      'Accept what was accepted before, or say that it is meant: millrace schemas add FILE --incompatible',
  });
}
