import { type JsonObject, objectAt, type TelemetryEvent, textAt } from '../core/event.ts';
import { isShared, remembered, share } from '../core/shared-object.ts';

/**
 * Where the event's user is: what the profile says, else what was declared on the device, else what its address
 * resolved to. A candidate without a state is none, and an empty district is left out, so that no location is ever
 * an empty text. Source: de-normalization of the original; docs/decisions/0003-stream-job-semantics.md.
 */
export function locationOf(event: TelemetryEvent): JsonObject | undefined {
  const user = objectAt(event, 'userdata');
  const device = objectAt(event, 'devicedata');
  const declared = objectAt(device, 'userdeclared');
  return (
    (user && profileLocation(user)) ??
    (declared && declaredLocation(declared)) ??
    (device && resolvedLocation(device))
  );
}

const profileLocation = remembered(user => candidate(user, 'district', 'user-profile'));
const declaredLocation = remembered(declared => candidate(declared, 'district', 'user-declared'));
const resolvedLocation = remembered(device => candidate(device, 'districtcustom', 'ip-resolved'));

function candidate(data: JsonObject, districtKey: string, from: string): JsonObject | undefined {
  const state = textAt(data, 'state');
  if (state === undefined) return undefined;
  const district = textAt(data, districtKey);
  const location = district === undefined ? { state, from } : { state, district, from };
  return isShared(data) ? share(location) : location;
}
