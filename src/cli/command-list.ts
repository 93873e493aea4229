import { READABLE_RELATIONS } from '../core/relations.ts';
import type { CommandSpec } from './command-spec.ts';
import { OPERATION_COMMANDS } from './operation-commands.ts';
import { SCHEMA_COMMANDS } from './schema-commands.ts';

/** The flags of every command, before it or after. */
export const GLOBAL_OPTIONS = [
  ['--env <name>', 'environment (MILLRACE_ENV; default: local)'],
  ['--data <folder>', 'data directory (MILLRACE_DATA; default: ./data)'],
  ['--set <key=value>', 'set a configuration key; may be repeated'],
  ['--url <url>', 'server to talk to (MILLRACE_URL; default: the one that serves the data directory)'],
  ['--json', 'answer with JSON documents'],
  ['--quiet', 'no progress, no remarks'],
] as const;

/** Words that group commands, with their one line of help. */
export const GROUPS: Readonly<Record<string, string>> = {
  operations: "the original's sequence: what brings an environment up, with the state of each part",
  secrets: 'what is secret, where it lies, drawing it anew',
  topics: 'streams of records: counts, lag, contents',
  job: 'the stream jobs, in pipeline order',
  failed: 'rejected events and why',
  cache: 'master data that events are denormalised with',
  archive: 'the objects that every stored topic is archived to',
  schemas: 'event schemas: draft, check, test, add a version, publish',
  config: 'effective configuration and where each value came from',
};

/** Every command, in the order of `--help`. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    path: 'up',
    does: 'bring up the environment and serve until Ctrl-C',
    options: [
      ['--port <n>', 'port to listen on; 0 picks a free one (default: http.port)'],
      ['--detach', 'serve in the background, return when ready'],
      ['--sample', 'also send made-up events, five a second'],
    ],
    examples: ['millrace up', 'millrace up --detach --port 0', 'millrace up --set dedup.ttlMs=600000'],
    load: async () => (await import('./commands/up.ts')).up,
  },
  {
    path: 'down',
    args: '[path...]',
    does: 'stop the serving process after it has drained, then the servers on this machine: all, or those below a path',
    examples: ['millrace down', 'millrace down --env local'],
    load: async () => (await import('./commands/down.ts')).down,
  },
  {
    path: 'worker',
    does: 'run stream jobs beside those of up, sharing partitions; for environments with their log on Kafka',
    options: [
      ['--jobs <jobs>', 'only the segments that hold one of these: a comma list (default: all)'],
      ['--instance <n>', 'its number, another one for each worker that runs, 1 to 999 (default: 100)'],
    ],
    examples: [
      'millrace worker --env services --instance 1',
      'millrace worker --env production --jobs route',
    ],
    load: async () => (await import('./commands/worker.ts')).worker,
  },
  {
    path: 'status',
    does: 'state of the components, the jobs and their conservation of events',
    examples: ['millrace status', 'millrace status --json | jq .idle'],
    load: async () => (await import('./commands/status.ts')).status,
  },
  ...OPERATION_COMMANDS,
  {
    path: 'send',
    args: '[file...]',
    does: 'send telemetry batches to the ingest API; exit 1 if one was refused',
    options: [
      ['--sample', 'send made-up but valid events instead of files'],
      ['--rate <n>', 'with --sample: events a second (default: as fast as they are taken)'],
      ['--count <n>', 'with --sample: events in all (default: 100; with --rate: until Ctrl-C)'],
      ['--seed <n>', 'with --sample: the same seed makes the same events again, but for their times'],
      ['--concurrency <n>', 'requests at once, 1 to 16; more than one gives up the order (default: 1)'],
    ],
    examples: [
      'millrace send batches.jsonl',
      'zcat batches.jsonl.gz | millrace send -',
      'millrace send --sample --count 1000',
      'millrace send --sample --rate 20',
    ],
    load: async () => (await import('./commands/send.ts')).send,
  },
  {
    path: 'query',
    args: '<sql>',
    does: `read-only SQL over the relations ${READABLE_RELATIONS.join(', ')}; "-" reads it`,
    examples: [
      'millrace query "SELECT eid, count(*) AS events FROM events GROUP BY eid ORDER BY events DESC"',
      'millrace query --json - < report.sql',
    ],
    load: async () => (await import('./commands/query.ts')).query,
  },
  {
    path: 'trace',
    args: '<mid>',
    does: "one event's whole path; exit 1 where nothing is known of it",
    examples: ['millrace trace IMPRESSION:4a1c0d', 'millrace trace --json IMPRESSION:4a1c0d'],
    load: async () => (await import('./commands/trace.ts')).trace,
  },
  {
    path: 'failed list',
    isDefault: true,
    does: 'rejected events, newest first',
    options: [
      ['--code <code>', 'only this error code'],
      ['--job <job>', 'only those that this job rejected'],
      ['--from <time>', 'only from this time on: ISO 8601 or epoch milliseconds'],
      ['--to <time>', 'only before this time'],
      ['--limit <n>', 'how many at most, 1 to 1000 (default: 50)'],
      ['--after <next>', 'go on where an answer ended: its "next"'],
    ],
    examples: ['millrace failed', 'millrace failed --code ERR_SCHEMA_VIOLATION --limit 10'],
    load: async () => (await import('./commands/failed.ts')).listFailed,
  },
  {
    path: 'failed show',
    args: '<id>',
    does: 'one rejected event, as it was set aside',
    examples: ['millrace failed show local.telemetry.failed:0:12'],
    load: async () => (await import('./commands/failed.ts')).showFailed,
  },
  {
    path: 'topics list',
    isDefault: true,
    does: 'names, records, sizes, lag of the consumer groups',
    examples: ['millrace topics', 'millrace topics list --json'],
    load: async () => (await import('./commands/topics.ts')).listTopics,
  },
  {
    path: 'topics describe',
    args: '<topic>',
    does: 'one topic with its partitions and groups',
    examples: ['millrace topics describe telemetry.failed'],
    load: async () => (await import('./commands/topics.ts')).describeTopic,
  },
  {
    path: 'topics tail',
    args: '<topic>',
    does: 'the records of a topic as JSON lines, then ends',
    options: [
      ['--count <n>', 'at most this many: the last ones, or the first with --from-start'],
      ['--from-start', 'begin at the oldest record'],
      ['--follow', 'wait for more; with --count until that many were shown'],
      ['--partition <p>', 'only this partition'],
    ],
    examples: [
      'millrace topics tail druid.events.telemetry --count 10',
      'millrace topics tail telemetry.failed --follow',
      'millrace topics tail telemetry.ingest --from-start --count 5',
    ],
    load: async () => (await import('./commands/topics-tail.ts')).tailTopic,
  },
  {
    path: 'topics produce',
    args: '<topic>',
    does: 'put JSON lines into an input topic, one record a line',
    options: [['--input <file>', 'file of JSON lines; "-" reads standard input']],
    examples: ['millrace topics produce telemetry.derived --input summaries.jsonl'],
    load: async () => (await import('./commands/topics-produce.ts')).produceTopic,
  },
  {
    path: 'job list',
    isDefault: true,
    does: 'the stream jobs with what they replace, read and write',
    examples: ['millrace job', 'millrace job list --json'],
    load: async () => (await import('./commands/job.ts')).listJobs,
  },
  {
    path: 'job describe',
    args: '<job>',
    does: 'one stream job',
    examples: ['millrace job describe validate'],
    load: async () => (await import('./commands/job.ts')).describeJob,
  },
  {
    path: 'job try',
    args: '<jobs>',
    does: 'run jobs over JSON lines with no environment touched: a job, a comma list in order, or chain',
    options: [
      ['--input <file>', 'JSON lines, one event (or batch, for extract) a line; "-" reads standard input'],
      ['--cache <dataset=file>', 'master data as JSON lines {"key", "value"}; may be repeated'],
      ['--now <time>', 'time the jobs go by: ISO 8601 or epoch milliseconds (default: now)'],
    ],
    examples: [
      'millrace job try validate --input events.jsonl',
      'millrace job try chain --input batches.jsonl --cache device=devices.jsonl --now 2024-05-01T00:00:00Z',
    ],
    load: async () => (await import('./commands/job-try.ts')).tryJob,
  },
  {
    path: 'cache load',
    args: '<dataset> <file>',
    does: 'load rows {"key": …, "value": {…}} into device, user, content or dialcode; "-" reads them',
    examples: ['millrace cache load device devices.jsonl', 'cat users.jsonl | millrace cache load user -'],
    load: async () => (await import('./commands/cache.ts')).loadCache,
  },
  {
    path: 'cache get',
    args: '<dataset> <key>',
    does: 'one row; exit 1 where there is none',
    examples: ['millrace cache get content do_3129'],
    load: async () => (await import('./commands/cache.ts')).getCache,
  },
  {
    path: 'archive status',
    isDefault: true,
    does: 'how far each partition is archived',
    examples: ['millrace archive'],
    load: async () => (await import('./commands/archive.ts')).archiveStatus,
  },
  {
    path: 'archive flush',
    does: 'archive every record present at the call, then return',
    examples: ['millrace archive flush'],
    load: async () => (await import('./commands/archive.ts')).archiveFlush,
  },
  {
    path: 'archive verify',
    does: 'prove that the objects cover every partition without gap or overlap; exit 1 where they do not',
    examples: ['millrace archive verify && echo complete'],
    load: async () => (await import('./commands/archive.ts')).archiveVerify,
  },
  {
    path: 'archive ls',
    does: 'the archive objects with their ranges',
    examples: ['millrace archive ls', 'millrace archive ls --json | jq -r ".objects[].object"'],
    load: async () => (await import('./commands/archive.ts')).archiveList,
  },
  {
    path: 'archive cat',
    args: '<object...>',
    does: "the records of objects: each record's value, one JSON line each",
    examples: ['millrace archive cat OBJECT | jq .mid'],
    load: async () => (await import('./commands/archive.ts')).archiveCat,
  },
  ...SCHEMA_COMMANDS,
  {
    path: 'config show',
    isDefault: true,
    does: 'every key with its effective value and where it came from',
    examples: ['millrace config', 'millrace config show --env local --set topics.store=all'],
    load: async () => (await import('./commands/config.ts')).showConfig,
  },
  {
    path: 'config explain',
    args: '<key>',
    does: 'what a key does, its bounds, its value and how to change it',
    examples: ['millrace config explain dedup.ttlMs'],
    load: async () => (await import('./commands/config.ts')).explainConfig,
  },
  {
    path: 'config check',
    does: 'name every wrong key, value and secret of the configuration, with the remedy; exit 1 where there is one',
    examples: ['millrace config check --env local'],
    load: async () => (await import('./commands/config.ts')).checkConfig,
  },
  {
    path: 'version',
    does: 'version of this program',
    examples: ['millrace version', 'millrace version --json'],
    load: async () => (await import('./commands/version.ts')).version,
  },
];
