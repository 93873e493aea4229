import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { StatusDocument, TopicsDocument } from '../../core/documents.ts';
import { type IngestMeter, LATENCY_BOUNDS_MS } from '../ingest/meter.ts';
import type { ApiContext } from './route.ts';

/** The metrics of one server, in Prometheus' text form. */
export interface Metrics {
  readonly contentType: string;
  /** Reads everything anew; rejects where a store does not answer. */
  collect(): Promise<string>;
}

/**
 * Metrics of ingest, jobs, topics and the process. Nothing is counted here: each scrape copies the counts that
 * the meter and the pipeline keep, so a metric cannot drift from `status`.
 */
export function createMetrics(context: Pick<ApiContext, 'backend' | 'meter'>): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const copies = [
    ...ingestCopies(registry, context.meter),
    ...statusCopies(registry),
    ...topicCopies(registry),
  ];
  return {
    contentType: registry.contentType,
    async collect() {
      const seen = { status: await context.backend.status(), topics: await context.backend.topics() };
      for (const copy of copies) copy(seen);
      return `${await registry.metrics()}\n${latencyText(context.meter)}`;
    },
  };
}

interface Seen {
  readonly status: StatusDocument;
  readonly topics: TopicsDocument;
}
type Copy = (seen: Seen) => void;

function ingestCopies(registry: Registry, meter: IngestMeter): Copy[] {
  const counter = (what: string, help: string, read: () => number): Copy => {
    const metric = new Counter({ name: `millrace_ingest_${what}_total`, help, registers: [registry] });
    return () => {
      metric.reset();
      metric.inc(read());
    };
  };
  const gauge = (what: string, help: string, read: () => number): Copy => {
    const metric = new Gauge({ name: `millrace_ingest_${what}`, help, registers: [registry] });
    return () => metric.set(read());
  };
  const refused = new Counter({
    name: 'millrace_ingest_refused_total',
    help: 'Refused requests by error code.',
    labelNames: ['code'],
    registers: [registry],
  });
  return [
    counter('requests', 'Requests to the ingest paths.', () => meter.requests),
    counter('accepted', 'Batches that were made durable.', () => meter.accepted),
    counter('events', 'Events in accepted batches.', () => meter.events),
    counter('received_bytes', 'Bytes of bodies on the wire.', () => meter.receivedBytes),
    counter('stored_bytes', 'Bytes of accepted records.', () => meter.storedBytes),
    gauge('requests_in_flight', 'Requests that were not answered yet.', () => meter.inFlight),
    gauge('body_bytes_in_flight', 'Bodies in memory, bytes.', () => meter.inFlightBytes),
    () => {
      refused.reset();
      for (const [code, count] of meter.refused) refused.inc({ code }, count);
    },
  ];
}

function statusCopies(registry: Registry): Copy[] {
  const events = new Counter({
    name: 'millrace_job_events_total',
    help: 'Events by job: received = emitted + rejected + dropped.',
    labelNames: ['job', 'outcome'],
    registers: [registry],
  });
  const components = new Gauge({
    name: 'millrace_component_ready',
    help: '1 where the component works, else 0.',
    labelNames: ['component', 'adapter'],
    registers: [registry],
  });
  return [
    ({ status }) => {
      events.reset();
      for (const { job, received, emitted, rejected, dropped, derived } of status.conservation) {
        const counts = { received, emitted, rejected, dropped, derived };
        for (const [outcome, count] of Object.entries(counts)) events.inc({ job, outcome }, count);
      }
    },
    ({ status }) => {
      components.reset();
      for (const { name, adapter, state } of status.components) {
        components.set({ component: name, adapter }, state === 'failed' ? 0 : 1);
      }
    },
  ];
}

function topicCopies(registry: Registry): Copy[] {
  const registers = [registry];
  const records = new Counter({
    name: 'millrace_topic_records_total',
    help: 'Records ever committed to the topic.',
    labelNames: ['topic'],
    registers,
  });
  const bytes = new Gauge({
    name: 'millrace_log_bytes',
    help: 'Bytes that the log holds of the topic.',
    labelNames: ['topic'],
    registers,
  });
  const lag = new Gauge({
    name: 'millrace_group_lag_records',
    help: 'Records of the topic that the consumer group has not read.',
    labelNames: ['topic', 'group'],
    registers,
  });
  return [
    ({ topics: { topics } }) => {
      for (const metric of [records, bytes, lag]) metric.reset();
      for (const topic of topics) {
        records.inc({ topic: topic.topic }, topic.records);
        bytes.set({ topic: topic.topic }, topic.bytes);
        for (const group of topic.groups) lag.set({ topic: topic.topic, group: group.group }, group.lag);
      }
    },
  ];
}

/** The meter's latency counts in Prometheus' text form; the library fills a histogram only by single observations. */
function latencyText({ latencyCounts, latencyMsSum }: IngestMeter): string {
  const name = 'millrace_ingest_latency_seconds';
  let total = 0;
  const buckets = Array.from(latencyCounts, (count, index) => {
    total += count;
    const boundMs = LATENCY_BOUNDS_MS[index];
    return `${name}_bucket{le="${boundMs === undefined ? '+Inf' : boundMs / 1000}"} ${total}`;
  });
  return [
    `# HELP ${name} Time from the headers of a request to its answer.`,
    `# TYPE ${name} histogram`,
    ...buckets,
    `${name}_sum ${latencyMsSum / 1000}`,
    `${name}_count ${total}`,
    '',
  ].join('\n');
}
