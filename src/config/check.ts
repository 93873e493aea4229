import { JOB_NAMES } from '../core/job.ts';
import { isLoopback } from './loopback.ts';
import { type Config, OPTIONS, type OptionKey } from './options.ts';
import { didYouMean } from './suggest.ts';

/** A rule that a configuration breaks; `key` is the one to look at first. */
export interface Contradiction {
  readonly key: OptionKey;
  readonly problem: string;
}

const REDIS_DATABASES = [
  'redis.batchDatabase',
  'redis.eventDatabase',
  'redis.routeDatabase',
  'redis.summaryDatabase',
  'redis.deviceDatabase',
  'redis.contentDatabase',
  'redis.dialcodeDatabase',
  'redis.userDatabase',
] as const satisfies readonly OptionKey[];

/** What a server that is started here is given or draws itself, by server: a value of the operator's would be lost. */
const OF_OTHERS = {
  kafka: ['kafka.brokers', 'kafka.password', 'kafka.mechanism', 'kafka.caFile'],
  redis: ['redis.host', 'redis.password', 'redis.caFile'],
  postgres: ['postgres.host', 'postgres.password', 'postgres.caFile'],
} as const satisfies Readonly<Record<string, readonly OptionKey[]>>;

/** The rules that no single key can break alone, and those of entries of lists. Order: as the keys are listed. */
export function contradictions(config: Config): readonly Contradiction[] {
  const found: Contradiction[] = [];
  const check: Check = (holds, key, problem) => {
    if (!holds) found.push({ key, problem });
  };
  check(
    isLoopback(config['http.host']) || config['http.allowedHosts'].length > 0,
    'http.host',
    `is ${config['http.host']}, which others can reach: http.allowedHosts must name the hosts they may ask for`,
  );
  check(
    config['ingest.inFlightBytesMax'] >= config['ingest.bodyBytesMax'],
    'ingest.inFlightBytesMax',
    'must be at least ingest.bodyBytesMax, or the largest batch never gets in',
  );
  check(
    config['log.queueBytesMax'] >= config['ingest.bodyBytesMax'],
    'log.queueBytesMax',
    'must be at least ingest.bodyBytesMax, or the largest batch never gets in',
  );
  check(
    config['log.retentionBytes'] >= config['log.segmentBytes'],
    'log.retentionBytes',
    'must be at least log.segmentBytes: only whole segments are deleted',
  );
  check(
    config['archive.openBytesMax'] >= config['archive.objectBytes'],
    'archive.openBytesMax',
    'must be at least archive.objectBytes, or no object reaches its size',
  );
  checkStores(config, check);
  for (const reference of config['ingest.tokens']) {
    check(
      /^(env|file):./.test(reference),
      'ingest.tokens',
      'must hold references, env:NAME or file:PATH; a token itself does not belong into the configuration',
    );
  }
  for (const job of config['chain.split']) {
    const known = (JOB_NAMES as readonly string[]).includes(job);
    check(known, 'chain.split', `names ${job}, which is no job${didYouMean(job, JOB_NAMES)}`);
  }
  return found;
}

type Check = (holds: boolean, key: OptionKey, problem: string) => void;

/** Rules of the servers that hold the data. */
function checkStores(config: Config, check: Check): void {
  for (const key of ['state.adapter', 'cache.adapter'] as const) {
    check(
      config['log.adapter'] !== 'kafka' || config[key] === 'redis',
      key,
      'must be redis where log.adapter is kafka: processes that share a log share their marks and master data',
    );
  }
  check(
    config['log.adapter'] !== 'kafka' ||
      config['kafka.target'] === 'host' ||
      config['kafka.brokers'].length > 0,
    'kafka.brokers',
    'must name a broker, host:port, where log.adapter is kafka and kafka.target is external',
  );
  check(
    config['kafka.target'] === 'external' || (!config['kafka.tls'] && config['kafka.username'] === ''),
    'kafka.target',
    'is host: brokers started here listen on loopback alone, without kafka.tls, and draw a login of their own',
  );
  for (const server of ['kafka', 'redis', 'postgres'] as const) {
    for (const key of OF_OTHERS[server]) {
      check(
        config[`${server}.target`] === 'external' || String(config[key]) === String(OPTIONS[key].fallback),
        key,
        `is of a server that others run, and ${server}.target is host: remove it, or set ${server}.target to external`,
      );
    }
  }
  for (const server of ['redis', 'postgres'] as const) {
    check(
      config[`${server}.target`] === 'external' || !config[`${server}.tls`],
      `${server}.target`,
      `is host: a server started here listens on loopback alone, without ${server}.tls`,
    );
  }
  check(
    config['kafka.mechanism'] !== 'plain' ||
      config['kafka.username'] === '' ||
      config['kafka.tls'] ||
      config['kafka.brokers'].every(isOnLoopback),
    'kafka.mechanism',
    'is plain, which sends the password as it is: kafka.tls must be on, or every one of kafka.brokers on loopback',
  );
  check(
    config['kafka.minInsync'] <= config['kafka.replication'],
    'kafka.minInsync',
    'must be at most kafka.replication, or nothing is ever acknowledged',
  );
  const databases = new Map<number, OptionKey>();
  for (const key of REDIS_DATABASES) {
    const other = databases.get(config[key]);
    check(other === undefined, key, `is ${config[key]}, as ${other} is: their keys would be taken for one`);
    databases.set(config[key], key);
  }
}

/** Of an address, host:port. */
function isOnLoopback(broker: string): boolean {
  return isLoopback(broker.replace(/:\d+$/, ''));
}
