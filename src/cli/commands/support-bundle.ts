import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { configDigest } from '../../config/load.ts';
import { resolveSecret } from '../../config/secret.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { sitePaths } from '../compose-site.ts';
import { checkAll } from '../doctor.ts';
import { askDocument, findServer } from '../http-client.ts';
import { operationCall } from '../operation-call.ts';
import { logFiles, readRunLog } from '../run-log.ts';
import { secretReferences, unresolvedSecret } from '../secret-references.ts';

const LOG_BYTES_MAX = 256 * 1024;
const RECEIPTS_MAX = 200;
const RUNS_MAX = 5;

/**
 * `support-bundle`: one JSON file with what helps to find a fault: configuration, checks, plan, receipts, status and
 * the ends of logs. Every secret that is known is taken out by its value, wherever it stands.
 */
export async function supportBundle(call: Call): Promise<undefined> {
  const { settings, config, operations } = operationCall(call, []);
  const opened = await openOperations({ settings, config });
  const { release } = opened.scope;
  const paths = sitePaths(settings);
  const plan = opened.document(await opened.plan({ paths: [], operations, only: false }));
  const document = {
    version: release.version,
    release: release.id,
    releaseDigest: release.digest,
    node: process.version,
    environment: settings.environment,
    madeAtMs: Date.now(),
    configDigest: configDigest(config),
    config,
    facts: await opened.scope.site.host.facts(),
    checks: await checkAll(settings, config),
    plan,
    receipts: (await opened.receipts.read()).entries.slice(-RECEIPTS_MAX),
    runs: logFiles(join(paths.operations, 'runs')).slice(-RUNS_MAX).map(readRunLog),
    status: await statusOf(call),
    log: endOf(`${paths.root}-up.log`),
  };
  const text = redact(JSON.stringify(document, null, 2), knownSecrets(call));
  const file = resolve(call.text('out') ?? `millrace-support-${settings.environment}.json`);
  await writeFile(file, `${text}\n`, { mode: 0o600 });
  call.output.document(
    { file, bytes: text.length },
    () => `Wrote ${file}, ${text.length} bytes, no secret in it.\n`,
  );
}

async function statusOf({ settings }: Call): Promise<object> {
  try {
    return await askDocument<object>(findServer(settings), { path: '/v1/status' });
  } catch (error) {
    if (error instanceof MillraceError) return { error: error.toDocument() };
    throw error;
  }
}

function endOf(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').slice(-LOG_BYTES_MAX) : '';
}

/** The values of all secrets that can be read: the operator token and what the configuration refers to. */
function knownSecrets(call: Call): readonly string[] {
  const { settings, config } = operationCall(call, []);
  const { tokenFile } = sitePaths(settings);
  const token = existsSync(tokenFile) ? [readFileSync(tokenFile, 'utf8').trim()] : [];
  const others = secretReferences(config)
    .filter(reference => unresolvedSecret(reference, settings.env) === null)
    .map(({ reference }) => resolveSecret(reference, settings.env));
  return [...token, ...others].filter(secret => secret !== '');
}

/** Longest first, so that a secret within another one leaves no rest. As they stand, and as JSON writes them. */
function redact(text: string, secrets: readonly string[]): string {
  const forms = secrets.flatMap(secret => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
  ]);
  const sorted = [...new Set(forms)].sort((left, right) => right.length - left.length);
  return sorted.reduce((rest, secret) => rest.replaceAll(secret, '(secret)'), text);
}
