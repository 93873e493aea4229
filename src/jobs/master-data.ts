import { isObject, type Json, type JsonObject, textOf } from '../core/event.ts';
import { share } from '../core/shared-object.ts';
import { parseIsoMs, timeMsOf } from './times.ts';

type Row = JsonObject | undefined;

/** Which field of a row becomes which field of the event's data. */
type Fields = readonly (readonly [from: string, to: string])[];

/** Keys of master data reach events in lower case and without `_`. */
const normalised = (...names: readonly string[]): Fields =>
  names.map(name => [name, name.toLowerCase().replaceAll('_', '')]);

const DEVICE_FIELDS = normalised(
  ...['country_code', 'country', 'state_code', 'state', 'city', 'district_custom', 'state_code_custom'],
  ...['state_custom', 'user_declared_state', 'user_declared_district', 'devicespec', 'firstaccess'],
);

const USER_FIELDS = normalised(
  ...['usertype', 'usersubtype', 'grade', 'language', 'subject', 'state', 'district', 'block', 'cluster'],
  ...['schoolname', 'usersignintype', 'userlogintype'],
);

// The dialcode service's own spelling comes last: the one that the original reads wins where a row has both.
const DIALCODE_FIELDS = normalised(
  ...['batchCode', 'generatedOn', 'publishedOn'],
  ...['identifier', 'channel', 'batchcode', 'publisher', 'generated_on', 'published_on', 'status'],
);

const CONTENT_FIELDS = normalised(
  ...['name', 'objectType', 'contentType', 'mediaType', 'language', 'medium', 'mimeType', 'createdBy'],
  ...['createdFor', 'framework', 'board', 'subject', 'status', 'pkgVersion', 'lastSubmittedOn', 'channel'],
  ...['lastUpdatedOn', 'lastPublishedOn', 'gradeLevel', 'keywords'],
);

const L2_FIELDS = normalised(
  ...['name', 'contentType', 'mimeType', 'framework', 'subject', 'medium', 'board', 'channel', 'createdFor'],
  'gradeLevel',
);

/** `devicedata` of a row as a Redis hash holds it, all values text; undefined on a miss. */
export const deviceDataOf = rememberedByRow((row): JsonObject | undefined => {
  const device = pick(row, DEVICE_FIELDS, fromHash);
  if (device === undefined) return undefined;
  const stateCode = textFrom(device['statecode']);
  return {
    countrycode: textFrom(device['countrycode']),
    country: textFrom(device['country']),
    statecode: stateCode,
    state: textFrom(device['state']),
    city: textFrom(device['city']),
    statecustomcode: textFrom(device['statecodecustom']),
    statecustomname: textFrom(device['statecustom']),
    districtcustom: textFrom(device['districtcustom']),
    devicespec: isObject(device['devicespec']) ? device['devicespec'] : {},
    firstaccess: timeMsOf(device['firstaccess']) ?? 0,
    iso3166statecode: stateCode === '' ? '' : `IN-${stateCode}`,
    userdeclared: share({
      state: textFrom(device['userdeclaredstate']),
      district: textFrom(device['userdeclareddistrict']),
    }),
  };
});

/** The user's fields, with defaults for sign-in and log-in; undefined on a miss. */
export const userDataOf = rememberedByRow((row): JsonObject | undefined => {
  const user = pick(row, USER_FIELDS, fromHash);
  return user === undefined ? undefined : { ...UNKNOWN_USER, ...user };
});

/** What stands for a user of whom nothing is known. */
export const UNKNOWN_USER: JsonObject = share({ usersignintype: 'Anonymous', userlogintype: 'NA' });

/** `dialcodedata`, times as epoch ms; undefined on a miss. Reads the spelling of the dialcode service too. */
export const dialcodeDataOf = rememberedByRow(row =>
  withTimes(pick(row, DIALCODE_FIELDS), ['generatedon', 'publishedon']),
);

/** `contentdata` or `collectiondata`, times as epoch ms; undefined on a miss. */
export const contentDataOf = rememberedByRow(row =>
  withTimes(pick(row, CONTENT_FIELDS), ['lastsubmittedon', 'lastupdatedon', 'lastpublishedon']),
);

/** `l2data`; undefined on a miss. */
export const l2DataOf = rememberedByRow(row => pick(row, L2_FIELDS));

/**
 * A conversion that is done once for as long as the cache hands out the same row, which is never mutated. Half of
 * the time of denormalisation was reading the same devices' specs again.
 */
function rememberedByRow(
  convert: (row: JsonObject) => JsonObject | undefined,
): (row: Row) => JsonObject | undefined {
  const answers = new WeakMap<JsonObject, { readonly data: JsonObject | undefined }>();
  return row => {
    if (row === undefined) return undefined;
    const known = answers.get(row);
    if (known !== undefined) return known.data;
    const data = convert(row);
    answers.set(row, { data });
    return data === undefined ? undefined : share(data);
  };
}

const asIs = (value: Json): Json => value;

/** The listed fields of a row that hold more than null or an empty text; undefined where none does. */
function pick(
  row: JsonObject,
  fields: Fields,
  convert: (value: Json) => Json = asIs,
): JsonObject | undefined {
  const picked: Record<string, Json> = {};
  let isEmpty = true;
  for (const [from, to] of fields) {
    const value = row[from];
    if (value === undefined || value === null || value === '') continue;
    picked[to] = convert(value);
    isEmpty = false;
  }
  return isEmpty ? undefined : picked;
}

/** A hash value: lists and objects are kept as JSON text, backslashes of other texts are an escape to be undone. */
function fromHash(value: Json): Json {
  if (typeof value !== 'string') return value;
  if (!value.startsWith('[') && !value.startsWith('{')) return value.replaceAll('\\', '');
  try {
    return JSON.parse(value) as Json;
  } catch {
    return value;
  }
}

function textFrom(value: Json | undefined): string {
  return typeof value === 'number' ? String(value) : (textOf(value) ?? '');
}

/** Dates as epoch ms; 0 where a text is no date of the two shapes that are read, as in the original. */
function withTimes(data: JsonObject | undefined, names: readonly string[]): JsonObject | undefined {
  if (data === undefined) return undefined;
  const times = names.filter(name => typeof data[name] === 'string');
  return { ...data, ...Object.fromEntries(times.map(name => [name, parseIsoMs(data[name]) ?? 0])) };
}
