import { createServer } from 'node:http';
import { join } from 'node:path';
import { loadConfig } from '../src/config/load.ts';
import { createLogger } from '../src/observability/logger.ts';
import { draftOn } from '../src/runtime/list-draft.ts';
import { createIngest } from '../src/services/ingest/ingest.ts';
import { createIngestMeter } from '../src/services/ingest/meter.ts';
import { openBenchLog } from './bench-log.ts';

/** Ingest and the embedded log alone, as `up` wires them, in a process of their own: no job runs beside them. */
const environmentsDirectory = join(import.meta.dirname, '../environments');
const { config } = loadConfig({
  environment: 'local',
  environmentsDirectory,
  env: {},
  sets: ['log.freeBytesMin=0'],
});
const topic = 'local.telemetry.ingest';
const logger = createLogger('warn', 'bench');
const log = await openBenchLog(process.argv[2]!, { topic, config, logger });
const ingest = createIngest({
  config,
  append: async record => {
    const draft = draftOn(log);
    draft.writer(topic, 0).add(record, record.value);
    await draft.commit({});
  },
  admission: () => log.admission(),
  nowMs: Date.now,
  tokens: [],
  meter: createIngestMeter(),
  onBug: error => {
    throw error;
  },
});
const server = createServer((request, response) => ingest(request, response));
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }));
process.on('message', () => process.send?.({ cpu: process.cpuUsage() }));
