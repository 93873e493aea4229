import type { Settings } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import { MillraceError } from '../core/errors.ts';
import type { CheckDocument } from '../core/operation-documents.ts';
import type { StoreFinding } from '../core/store-check.ts';
import { kafkaTarget, postgresTarget, redisTarget } from '../operations/engine/targets.ts';
import { composeHost, locateStarted, standingServers } from './compose-servers.ts';
import { sitePaths } from './compose-site.ts';
import { checkConfiguredPostgres } from './compose-tables.ts';
import { formatCounted } from './format.ts';

/** What a check found; a remedy is given where it is not ok. */
export interface Finding {
  readonly ok: boolean;
  readonly found: string;
  readonly remedy?: string;
  /** Where it is another than the check's. */
  readonly severity?: CheckDocument['severity'];
}

/** Whose stores are looked at. */
export interface StoresPlace {
  readonly settings: Settings;
  readonly config: Config;
}

type Findings = readonly Finding[] | Finding;

/** PostgreSQL, where the tables are in it: reached, new enough, set up as it must be. */
export async function checkPostgresql({ settings, config }: StoresPlace): Promise<Findings> {
  const target = postgresTarget(config);
  if (target === 'embedded') return { ok: true, found: 'not used: the tables are a file' };
  const located = await locatedOf({ settings, config }, target === 'host' ? 'postgres' : null);
  if (located === null) return NOT_RUNNING;
  const { version, findings } = await checkConfiguredPostgres(located);
  return findingsOf(`${version} on ${located['postgres.host']}`, findings);
}

/** Redis, where first sightings or master data are in it; what is only unwise is said as well. */
export async function checkRedisServer({ settings, config }: StoresPlace): Promise<Findings> {
  const target = redisTarget(config);
  if (target === 'embedded')
    return { ok: true, found: 'not used: first sightings and master data are files' };
  const located = await locatedOf({ settings, config }, target === 'host' ? 'redis' : null);
  if (located === null) return NOT_RUNNING;
  const { checkConfiguredRedis } = await import('./compose-redis.ts');
  const { version, findings } = await checkConfiguredRedis(located);
  // The configuration of a server of our own is ours, and its user may not read it.
  const told = target === 'host' ? findings.filter(({ severity }) => severity !== 'note') : findings;
  return findingsOf(`${version} on ${located['redis.host']}`, told);
}

/**
 * Kafka, where the log is on it: reached, new enough, its topics with enough copies, the rights that it takes, and no
 * transaction open that nobody ends, for which it waits some 20 s.
 */
export async function checkKafka({ settings, config }: StoresPlace): Promise<Findings> {
  const target = kafkaTarget(config);
  if (target === 'embedded') return { ok: true, found: 'not used: the log is files' };
  const located = await locatedOf({ settings, config }, target === 'host' ? 'kafka' : null);
  if (located === null) return NOT_RUNNING;
  const { checkConfiguredKafka } = await import('./compose-kafka.ts');
  const { environment } = settings;
  const { version, brokers, findings } = await checkConfiguredKafka({ config: located, environment });
  const counted = formatCounted(brokers, 'broker', 'brokers');
  return findingsOf(`${version}, ${counted} at ${located['kafka.brokers'].join(', ')}`, findings);
}

/** First sightings in Redis name places in the log: those of a log that is gone would drop what comes as duplicates. */
export async function checkMarks(place: StoresPlace): Promise<Findings> {
  const { config } = place;
  if (config['state.adapter'] !== 'redis' || config['log.adapter'] !== 'embedded') {
    return { ok: true, found: 'first sightings are kept as the log is' };
  }
  const count = await strangeMarks(place);
  if (count === 0) {
    const found = 'first sightings lie in Redis, the log in files: keep, restore and remove them together';
    return { ok: true, found };
  }
  const counted = formatCounted(count, 'first sighting', 'first sightings');
  return {
    ok: false,
    found: `the log is new, and Redis holds ${counted} already: their events would be duplicates`,
    remedy: MARKS_REMEDY,
  };
}

/** What to do about {@link strangeMarks}. */
export const MARKS_REMEDY =
  'If they are not of a pipeline that this one takes over: use databases of its own (redis.batchDatabase, ' +
  'redis.eventDatabase, redis.routeDatabase, redis.summaryDatabase), or empty those.';

/**
 * First sightings that Redis holds although the embedded log is still to be made: those of another log, or of the
 * pipeline that is taken over. 0 where the log is there, or Redis is not reached.
 */
export async function strangeMarks({ settings, config }: StoresPlace): Promise<number> {
  if (config['state.adapter'] !== 'redis' || config['log.adapter'] !== 'embedded') return 0;
  const paths = sitePaths(settings);
  if ((await composeHost(paths.root).stat(paths.log)) !== undefined) return 0;
  const isOurs = redisTarget(config) === 'host';
  const located = await locatedOf({ settings, config }, isOurs ? 'redis' : null);
  if (located === null) return 0;
  const { composeRedisState } = await import('./compose-redis.ts');
  try {
    const state = await composeRedisState(located);
    try {
      return await state.count();
    } finally {
      await state.close();
    }
  } catch (error) {
    // Whoever needs it says what is wrong with it.
    if (error instanceof MillraceError) return 0;
    throw error;
  }
}

const NOT_RUNNING: Finding = { ok: true, found: 'it does not run now: millrace up starts it' };

/** The configuration with where a server of our own is; null where it does not run. */
async function locatedOf({ settings, config }: StoresPlace, own: string | null): Promise<Config | null> {
  if (own === null) return config;
  const place = { config, environment: settings.environment, dataDirectory: settings.dataDirectory };
  const standing = (await standingServers(place)).get(own);
  return standing?.state === 'running' ? locateStarted(place, own) : null;
}

function findingsOf(where: string, findings: readonly StoreFinding[]): Findings {
  if (findings.length === 0) return { ok: true, found: where };
  return findings.map(({ code, severity, problem, remedy }) =>
    severity === 'note'
      ? { ok: true, found: `${where}: ${problem}. ${remedy}` }
      : {
          ok: false,
          severity: severity === 'error' ? 'block' : 'warn',
          found: `${where}: ${problem} (${code})`,
          remedy,
        },
  );
}
