import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT, type Settings } from '../config/environment.ts';
import type { Config } from '../config/options.ts';
import { MillraceError } from '../core/errors.ts';
import type { FileState } from '../core/host.ts';
import type { CheckDocument } from '../core/operation-documents.ts';
import { surveyAll } from '../operations/engine/inspect.ts';
import { otherRelease } from '../operations/engine/other-release.ts';
import { OPERATIONS } from '../operations/list.ts';
import { checkKafka, checkMarks, checkPostgresql, checkRedisServer, type Finding } from './check-stores.ts';
import { openOperations } from './compose-operations.ts';
import { freeBytesWanted, takenPort } from './preflight.ts';
import { secretReferences, unresolvedSecret } from './secret-references.ts';

interface Check {
  readonly id: string;
  readonly severity: CheckDocument['severity'];
  look(context: Context): Promise<readonly Finding[] | Finding>;
}

interface Context {
  readonly settings: Settings;
  readonly config: Config;
  readonly opened: Awaited<ReturnType<typeof openOperations>>;
}

const MEMORY_BYTES_MIN = 512 * 1024 * 1024;
const OPEN_FILES_MIN = 1024;
/** Clients and servers stamp events: past this their times lie apart visibly. */
const CLOCK_MS_MAX = 5_000;
const CERTIFICATE_MS_MIN = 30 * 86_400_000;

/** Looks at machine, configuration, data and the running environment; changes nothing. In a fixed order. */
export async function checkAll(settings: Settings, config: Config): Promise<readonly CheckDocument[]> {
  const opened = await openOperations({ settings, config });
  const context = { settings, config, opened };
  const rows = await Promise.all(
    CHECKS.map(async ({ id, severity, look }) => {
      const findings = [await look(context).catch(failedLook)].flat();
      return findings.map(finding => ({ id, severity, remedy: '', ...finding }));
    }),
  );
  return rows.flat();
}

/** A check that cannot look is a finding as well. */
function failedLook(error: unknown): Finding {
  if (!(error instanceof MillraceError)) throw error;
  return { ok: false, found: `${error.message}: ${error.why}`, remedy: error.remedy };
}

const CHECKS: readonly Check[] = [
  { id: 'node', severity: 'block', look: async () => checkNode() },
  { id: 'memory', severity: 'warn', look: ({ opened }) => checkMemory(opened) },
  { id: 'disk', severity: 'block', look: checkDisk },
  { id: 'open-files', severity: 'warn', look: async () => checkOpenFiles() },
  { id: 'clock', severity: 'warn', look: checkClock },
  { id: 'data-directory', severity: 'block', look: checkData },
  { id: 'secrets', severity: 'block', look: async context => checkSecrets(context) },
  { id: 'rights', severity: 'warn', look: checkRights },
  { id: 'port', severity: 'block', look: checkPort },
  { id: 'certificates', severity: 'warn', look: async ({ config }) => checkCertificates(config) },
  { id: 'user', severity: 'warn', look: checkUser },
  { id: 'kafka', severity: 'block', look: checkKafka },
  { id: 'postgres', severity: 'block', look: checkPostgresql },
  { id: 'redis', severity: 'block', look: checkRedisServer },
  { id: 'first-sightings', severity: 'warn', look: checkMarks },
  { id: 'operations', severity: 'warn', look: checkOperations },
  { id: 'receipts', severity: 'warn', look: checkReceipts },
  { id: 'serving', severity: 'warn', look: checkServing },
];

function checkNode(): Finding {
  const manifest = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  const wanted = Number(manifest.engines.node.replace(/\D/g, ''));
  const found = Number(process.versions.node.split('.')[0]);
  return {
    ok: found >= wanted,
    found: `Node ${process.versions.node}`,
    remedy: `Install Node ${wanted} or newer, or run: npm ci`,
  };
}

async function checkMemory(opened: Context['opened']): Promise<Finding> {
  const { memoryBytes, cpuCount } = await opened.scope.site.host.facts();
  return {
    ok: memoryBytes >= MEMORY_BYTES_MIN,
    found: `${memoryBytes} bytes of memory, ${cpuCount} processors`,
    remedy: `Use a machine with at least ${MEMORY_BYTES_MIN} bytes of memory.`,
  };
}

async function checkDisk({ settings, config, opened }: Context): Promise<Finding> {
  const { freeBytes } = await opened.scope.site.host.facts();
  return {
    ok: freeBytes >= freeBytesWanted(config),
    found: `${freeBytes} bytes free for ${settings.dataDirectory}`,
    remedy: `Free ${freeBytesWanted(config)} bytes, or use another --data.`,
  };
}

function checkOpenFiles(): Finding {
  let limit = Number.POSITIVE_INFINITY;
  try {
    const row = readFileSync('/proc/self/limits', 'utf8').match(/^Max open files\s+(\d+)/m);
    limit = Number(row?.[1] ?? limit);
  } catch {
    // No Linux: its limit is not known here, and the default is no less.
  }
  return {
    ok: limit >= OPEN_FILES_MIN,
    found: `${limit} open files are allowed`,
    remedy: `Allow more: ulimit -n ${OPEN_FILES_MIN}`,
  };
}

/** Without another clock to ask: what was written here before lies in the past, unless a clock was wrong. */
async function checkClock({ opened }: Context): Promise<Finding> {
  const nowMs = Date.now();
  const { entries } = await opened.receipts.read();
  const lastMs = entries.length === 0 ? undefined : Math.max(...entries.map(entry => entry.startedAtMs));
  const last = lastMs === undefined ? 'there is no receipt yet' : `the last receipt is of ${isoOf(lastMs)}`;
  return {
    ok: lastMs === undefined || lastMs - nowMs <= CLOCK_MS_MAX,
    found: `${isoOf(nowMs)}; ${last}`,
    remedy: 'The clock is behind what it was: set it, for example by NTP. Times are UTC everywhere.',
  };
}

function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

async function checkData({ settings, opened }: Context): Promise<Finding> {
  const { host, formatStamp } = opened.scope.site;
  const stamp = await host.read(join(settings.dataDirectory, 'format.json'));
  if (stamp === undefined)
    return { ok: true, found: `${settings.dataDirectory} is not a data directory yet` };
  const text = Buffer.from(stamp).toString('utf8');
  return {
    ok: text === formatStamp,
    found: `${settings.dataDirectory} says ${text.trim()}`,
    remedy: 'Use the version that wrote it, or another --data.',
  };
}

function checkSecrets({ settings, config }: Context): readonly Finding[] {
  const references = secretReferences(config);
  if (references.length === 0) return [{ ok: true, found: 'the configuration refers to none' }];
  return references.map(reference => {
    const problem = unresolvedSecret(reference, settings.env);
    const what = `${reference.key}, used by ${reference.usedBy}`;
    return problem === null
      ? { ok: true, found: `${what}: there` }
      : { ok: false, found: `${what}: ${problem.why}`, remedy: problem.remedy };
  });
}

async function checkRights({ opened }: Context): Promise<readonly Finding[] | Finding> {
  const { host, paths } = opened.scope.site;
  const { root, tokenFile, operations, tablesFile, cacheFile } = paths;
  const places = [root, tokenFile, operations, tablesFile, cacheFile];
  const states = await Promise.all(places.map(async path => ({ path, state: await host.stat(path) })));
  const open = states.filter(({ state }) => state !== undefined && isOpenToOthers(state));
  if (open.length === 0) return { ok: true, found: 'nobody else can read the data' };
  return open.map(({ path, state }) => ({
    ok: false,
    found: `${path} is 0${state?.mode.toString(8)}`,
    remedy: `chmod go-rw ${path}`,
  }));
}

/** Passing through a folder tells nothing of it, and PostgreSQL's user must (0711). */
function isOpenToOthers({ mode }: FileState): boolean {
  return (mode & 0o066) !== 0;
}

async function checkPort({ settings, config }: Context): Promise<Finding> {
  const taken = await takenPort(settings, config);
  return {
    ok: taken === null,
    found: taken ?? `port ${config['http.port']} is free, or the environment's own`,
    remedy: 'Stop it, or use another: millrace up --port N, or --set http.port=N',
  };
}

function checkCertificates(config: Config): readonly Finding[] {
  const files = (['kafka.caFile', 'redis.caFile', 'postgres.caFile'] as const).filter(
    key => config[key] !== '',
  );
  if (files.length === 0) return [{ ok: true, found: 'no certificate is configured' }];
  return files.map(key => {
    try {
      const validTo = firstEnd(readFileSync(config[key], 'utf8'));
      const leftMs = Date.parse(validTo) - Date.now();
      const remedy = `Renew it before ${validTo}.`;
      return { ok: leftMs > CERTIFICATE_MS_MIN, found: `${key} ends ${validTo}`, remedy };
    } catch (error) {
      const found = `${key}: ${error instanceof Error ? error.message : String(error)}`;
      return { ok: false, found, remedy: `Put a PEM certificate at ${config[key]}.` };
    }
  });
}

/** When the first of a file's certificates ends: an authority and those between it and the server may share one. */
function firstEnd(pem: string): string {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [pem];
  const ends = certificates.map(text => new X509Certificate(text).validTo);
  return ends.sort((left, right) => Date.parse(left) - Date.parse(right))[0] ?? '';
}

async function checkUser({ opened }: Context): Promise<Finding> {
  const { user, isRoot } = await opened.scope.site.host.facts();
  return {
    ok: !isRoot,
    found: `runs as ${user}`,
    remedy: 'It works as root; a user of its own has less to lose.',
  };
}

async function checkOperations({ opened }: Context): Promise<readonly Finding[]> {
  const seen = await surveyAll(OPERATIONS, opened.scope);
  const off = seen.filter(({ state }) => state === 'failed' || state === 'drifted');
  if (off.length === 0) return [{ ok: true, found: 'no operation failed or drifted' }];
  return off.map(({ path, state, unfinished }) => ({
    ok: false,
    found: `${path} ${state}${unfinished?.error ? `: ${unfinished.error.why}` : ''}`,
    remedy: `millrace run ${path}`,
  }));
}

async function checkReceipts({ opened }: Context): Promise<Finding> {
  const { entries, intact } = await opened.receipts.read();
  return {
    ok: intact,
    found: `${entries.length} entries, ${intact ? 'intact' : 'NOT what was written'}`,
    remedy: 'Keep the file aside and find out who changed it; new receipts begin a new one.',
  };
}

async function checkServing({ opened }: Context): Promise<readonly Finding[]> {
  const served = await opened.scope.site.served();
  if (served === null) return [{ ok: true, found: 'nothing serves the environment now' }];
  const findings = served.components.map(({ name, state, detail }) => ({
    ok: state === 'ok',
    found: `${name} ${state}: ${detail}`,
    remedy: 'millrace status tells more.',
  }));
  const other = otherRelease(served, opened.scope);
  const release = {
    ok: other === null,
    found:
      other === null
        ? 'the serving process runs this release'
        : `the serving process runs another release, ${other.release}`,
    remedy: other === null ? '' : `Restart it: ${other.remedy}`,
  };
  return [...findings, release];
}
