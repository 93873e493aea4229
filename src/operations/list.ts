import { bootstrap } from './bootstrap/bootstrap.ts';
import { buildAnalytics } from './build/analytics.ts';
import { buildApiModule } from './build/api-module.ts';
import { buildDataPipeline } from './build/data-pipeline.ts';
import { buildEtlJobs } from './build/etl-jobs.ts';
import { buildSecor } from './build/secor.ts';
import { deployAnalyticsApi } from './deploy/analytics-api.ts';
import { cassandraDbUpdate } from './deploy/cassandra-db-update.ts';
import { dataProducts } from './deploy/data-products.ts';
import { kafkaIndexer } from './deploy/kafka-indexer.ts';
import { kafkaSetup } from './deploy/kafka-setup.ts';
import { samzaTelemetrySchemas } from './deploy/samza-telemetry-schemas.ts';
import { secor } from './deploy/secor.ts';
import { deployYarn } from './deploy/yarn.ts';
import type { Operation } from './engine/operation.ts';
import { analyticsApi } from './provision/analytics-api-operation.ts';
import { analyticsSecor } from './provision/analytics-secor-operation.ts';
import { analyticsSpark } from './provision/analytics-spark-operation.ts';
import { cassandra } from './provision/cassandra-operation.ts';
import { influxdb } from './provision/influxdb-operation.ts';
import { kafka } from './provision/kafka-operation.ts';
import { postgres } from './provision/postgres-operation.ts';
import { redis } from './provision/redis-operation.ts';
import { yarn } from './provision/yarn-operation.ts';
import { zookeeper } from './provision/zookeeper-operation.ts';

/** Every operation, in the order of the original's documentation. A new one is a file and a line here. */
export const OPERATIONS: readonly Operation[] = [
  buildAnalytics,
  buildApiModule,
  buildDataPipeline,
  buildEtlJobs,
  buildSecor,
  bootstrap,
  analyticsApi,
  analyticsSecor,
  analyticsSpark,
  postgres,
  yarn,
  influxdb,
  zookeeper,
  kafka,
  redis,
  cassandra,
  cassandraDbUpdate,
  kafkaSetup,
  deployAnalyticsApi,
  dataProducts,
  secor,
  kafkaIndexer,
  samzaTelemetrySchemas,
  deployYarn,
];

/** The operation that provides a server, by the name of that; undefined for one that comes with another. */
export function provisionOf(server: string): Operation | undefined {
  return OPERATIONS.find(({ folder, name }) => folder === 'Provision' && name.toLowerCase() === server);
}
