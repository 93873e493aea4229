import { MillraceError } from '../../../core/errors.ts';

/** A call that a broker takes, by the protocol's number, and from which to which version of it. */
export interface BrokerCall {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

const FETCH = 1;
/** The oldest that Kafka 4 takes (KIP-896); before, it was 0. */
const FETCH_MIN_OF_4 = 4;
const FIND_COORDINATOR = 10;
/** Came with Kafka 3.0 (KIP-699). Brokers do not say their release, only which calls they take. */
const FIND_COORDINATOR_MIN = 4;

/** What is wrong with a broker's release, or null: Kafka before 3.0 lacks calls that the log makes. */
export function releaseProblem(
  brokers: readonly string[],
  calls: readonly BrokerCall[],
): MillraceError | null {
  const found = calls.find(({ apiKey }) => apiKey === FIND_COORDINATOR)?.maxVersion ?? 0;
  if (found >= FIND_COORDINATOR_MIN) return null;
  const why = `${brokers.join(', ')}: Kafka is older than 3.0 (FindCoordinator up to version ${found})`;
  return new MillraceError('ERR_NOT_READY', why, {
    remedy: 'Upgrade the brokers to Kafka 3.9 or 4, which the pipeline is tested with.',
  });
}

/** The release of brokers that have no {@link releaseProblem}, as far as their calls tell it. */
export function releaseOf(calls: readonly BrokerCall[]): string {
  const oldest = calls.find(({ apiKey }) => apiKey === FETCH)?.minVersion ?? 0;
  return oldest >= FETCH_MIN_OF_4 ? 'Kafka 4 or newer' : 'Kafka 3';
}
