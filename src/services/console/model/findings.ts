import type { PulseDocument } from '../../query/contract.ts';
import { formatBytes, formatCount } from './format.ts';

/** Something that is wrong or will be, with what to do about it. */
export interface Finding {
  readonly severity: 'bad' | 'warn';
  readonly what: string;
  readonly why: string;
  readonly remedy: string;
}

/** Everything that is wrong now, the worst first; empty where all is well. */
export function findingsOf(pulse: PulseDocument): readonly Finding[] {
  const findings = [
    ...componentFindings(pulse),
    ...conservationFindings(pulse),
    ...diskFindings(pulse),
    ...refusalFindings(pulse),
  ];
  return findings.sort((a, b) => Number(a.severity === 'warn') - Number(b.severity === 'warn'));
}

/** What to do about a component: by its name, or by `name adapter` where it lies on a server. */
const REMEDIES: Readonly<Record<string, string>> = {
  ingest: 'Ingest takes events again by itself once the cause is gone; clients are told to retry.',
  log: 'Events in the quarantined ranges can no longer be read. Restore them from the archive, or send them again.',
  state: 'Restart Millrace; deduplication marks are rebuilt from the log. Nothing accepted is lost.',
  'state redis': 'Check Redis: millrace doctor. The jobs wait, and go on by themselves once it answers.',
  cache: 'Check the disk, then load the master data again: millrace cache load DATASET FILE.',
  'cache redis': 'Check Redis: millrace doctor. Where rows are missing: millrace cache load DATASET FILE.',
  tables: 'Check the disk. Events wait in the log, and the tables catch up once they can be written.',
  'tables postgresql':
    'Check PostgreSQL: millrace doctor. Events wait in the log, and the tables catch up once it can be written.',
  archive: 'Check the place of the archive and its rights. Retention keeps what was not archived yet.',
};

const STALLED =
  'Look at the event where it stands, and at the log; then restart Millrace, which loses nothing.';

function componentFindings({ status }: PulseDocument): readonly Finding[] {
  return status.components
    .filter(({ state }) => state !== 'ok')
    .map(({ name, adapter, state, detail }) => ({
      severity: state === 'failed' ? ('bad' as const) : ('warn' as const),
      what: `${name} ${state === 'failed' ? 'has failed' : 'needs a look'}`,
      why: detail,
      remedy:
        REMEDIES[`${name} ${adapter}`] ??
        REMEDIES[name] ??
        (name.startsWith('reader.') ? STALLED : 'Look at the log of the process.'),
    }));
}

function conservationFindings({ status }: PulseDocument): readonly Finding[] {
  const jobs = status.conservation
    .filter(({ balanced }) => !balanced)
    .map(({ job, received, emitted, rejected, dropped }) => ({
      severity: 'bad' as const,
      what: `${job} does not account for ${formatCount(Math.abs(received - emitted - rejected - dropped))} events`,
      why: `received ${formatCount(received)} ≠ ${sumText({ emitted, rejected, dropped })}`,
      remedy:
        'This is a fault of Millrace. Keep the data directory and report it with millrace status --json.',
    }));
  const edges = status.edges
    .filter(({ balanced }) => !balanced)
    .map(({ topic, reader, emitted, received, waiting }) => ({
      severity: 'bad' as const,
      what: `${reader} has not received ${formatCount(Math.abs(emitted - received - waiting))} records of ${topic}`,
      why: `emitted ${formatCount(emitted)}, received ${formatCount(received)}, waiting ${formatCount(waiting)}`,
      remedy:
        'This is a fault of Millrace. Keep the data directory and report it with millrace status --json.',
    }));
  return [...jobs, ...edges];
}

/** `emitted 17 + rejected 3`. */
function sumText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${formatCount(count)}`)
    .join(' + ');
}

/** Free space this much above the bound at which ingest stops is worth a word. */
const FREE_FACTOR_WARN = 4;
/** Share of the log's budget at which what is not archived yet may soon hold retention up. */
const LOG_SHARE_WARN = 0.9;

function diskFindings({ disk }: PulseDocument): readonly Finding[] {
  const findings: Finding[] = [];
  if (disk.freeBytes < disk.freeBytesMin * FREE_FACTOR_WARN) {
    const isFull = disk.freeBytes < disk.freeBytesMin;
    findings.push({
      severity: isFull ? 'bad' : 'warn',
      what: isFull ? 'The disk is full: ingest answers 503' : 'The disk is nearly full',
      why: `${formatBytes(disk.freeBytes)} free; ingest stops below ${formatBytes(disk.freeBytesMin)}`,
      remedy: 'Free space, or keep less: log.retentionBytes, tables.retentionDays.',
    });
  }
  if (disk.logBytes > disk.logBytesMax * LOG_SHARE_WARN) {
    findings.push({
      severity: 'warn',
      what: 'The log has nearly used its budget',
      why: `${formatBytes(disk.logBytes)} of ${formatBytes(disk.logBytesMax)}; segments go once every sink has passed`,
      remedy: 'Nothing to do where the sinks keep up; else raise log.retentionBytes or look at their lag.',
    });
  }
  return findings;
}

const REFUSALS: Readonly<Record<string, string>> = {
  ERR_UNAUTHORIZED: 'Clients must send a bearer token that ingest.tokens names.',
  ERR_MEDIA_TYPE: 'Clients must send content-type: application/json.',
  ERR_BODY_TOO_LARGE: 'Clients must send smaller batches, or raise ingest.bodyBytesMax.',
  ERR_BODY_TOO_MANY: 'Clients must send fewer events in a batch, or raise ingest.eventsMax.',
  ERR_BODY_NO_EVENTS: 'Clients must send a JSON object with an "events" array.',
  ERR_BODY_UNREADABLE: 'Clients must send UTF-8 JSON.',
  ERR_OVERLOADED: 'Bodies wait in memory: raise ingest.inFlightBytesMax, or send less at once.',
  ERR_DISK_FULL: 'Free space on the disk.',
  ERR_LOG_BEHIND: 'The jobs are behind; clients are told to retry until they have caught up.',
};

function refusalFindings({ ingest }: PulseDocument): readonly Finding[] {
  return Object.entries(ingest.refused).map(([code, count]) => ({
    severity: 'warn' as const,
    what: `Ingest refused ${formatCount(count)} ${count === 1 ? 'request' : 'requests'}`,
    why: `${code}, since the start`,
    remedy: REFUSALS[code] ?? 'docs/reference/errors.md tells what to do about it.',
  }));
}
