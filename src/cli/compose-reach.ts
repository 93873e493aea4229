import type { Config } from '../config/options.ts';
import type { JsonObject } from '../core/event.ts';
import type { ExternalServer, Site, TopicChange } from '../operations/engine/site.ts';

/** What operations do on servers, wherever those run. Clients are loaded by need: each takes time and memory. */
export type Reach = Pick<Site, 'check' | 'planTopics' | 'applyTopics'> & {
  appliedMigrations(): Promise<readonly string[]>;
  applyMigrations(upTo: string): Promise<void>;
};

/** Reaches the servers by a configuration that says where they are. */
export function openReach(config: Config, environment: string): Reach {
  return {
    check: server => check(config, server),
    async planTopics(isNew) {
      const { dueTopics } = await import('./compose-kafka.ts');
      return (await dueTopics({ config, environment }, isNew)).map(({ change }) => change);
    },
    async applyTopics(kind, topic) {
      const { applyDueTopics } = await import('./compose-kafka.ts');
      const isMeant = (change: TopicChange) =>
        change.kind === kind && (topic === undefined || change.topic === topic);
      await applyDueTopics({ config, environment }, isMeant);
    },
    async appliedMigrations() {
      const { readPostgresLedger } = await import('../adapters/tables/postgres-ledger.ts');
      return readPostgresLedger(await postgresOf(config));
    },
    async applyMigrations(upTo) {
      const { migratePostgres } = await import('../adapters/tables/postgres-ledger.ts');
      await migratePostgres(await postgresOf(config), Date.now(), upTo);
    },
  };
}

async function check(config: Config, server: ExternalServer): Promise<JsonObject> {
  if (server === 'redis') {
    const { needRedis } = await import('./compose-redis.ts');
    return { redis: await needRedis(config) };
  }
  if (server === 'kafka') {
    const { describeBrokers } = await import('./compose-kafka.ts');
    return { kafka: await describeBrokers(config) };
  }
  const { needPostgres } = await import('./compose-tables.ts');
  return { postgres: await needPostgres(config) };
}

async function postgresOf(config: Config) {
  return (await import('./compose-tables.ts')).postgresOf(config);
}
