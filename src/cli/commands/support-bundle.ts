import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Settings } from '../../config/environment.ts';
import { readFileTail } from '../../config/file-tail.ts';
import { configDigest } from '../../config/load.ts';
import { resolveSecret } from '../../config/secret.ts';
import type { ErrorDocument } from '../../core/errors.ts';
import type { Scope } from '../../operations/engine/operation.ts';
import { readSecret } from '../../operations/provision/managed-file.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { sitePaths } from '../compose-site.ts';
import { detachedLog } from '../detach.ts';
import { checkAll } from '../doctor.ts';
import { errorDocumentOf } from '../error-document.ts';
import { generatedSecrets } from '../generated-secrets.ts';
import { askDocument, findServer } from '../http-client.ts';
import { operationCall } from '../operation-call.ts';
import { logFiles, readRunLog } from '../run-log.ts';
import { secretReferences, unresolvedSecret } from '../secret-references.ts';

const LOG_BYTES_MAX = 256 * 1024;
const RECEIPTS_MAX = 200;
const RUNS_MAX = 5;

/**
 * `support-bundle`: one JSON file with what helps to find a fault: configuration, checks, plan, receipts, status and
 * the ends of logs. What cannot be looked at stands there as its error: a fault is what it is made for. Every secret
 * that is known is taken out by its value, wherever it stands.
 */
export async function supportBundle(call: Call): Promise<undefined> {
  const { settings, config, operations } = operationCall(call, []);
  const opened = await openOperations({ settings, config });
  const { release } = opened.scope;
  const paths = sitePaths(settings);
  const everything = { paths: [], operations, only: false };
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
    checks: await orError(() => checkAll(settings, config)),
    plan: await orError(async () => opened.document(await opened.plan(everything))),
    receipts: await orError(async () => (await opened.receipts.read()).entries.slice(-RECEIPTS_MAX)),
    runs: await orError(async () =>
      logFiles(join(paths.operations, 'runs')).slice(-RUNS_MAX).map(readRunLog),
    ),
    status: await orError(() => askDocument<object>(findServer(settings), { path: '/v1/status' })),
    log: await orError(() => endOf(detachedLog(settings))),
  };
  const text = redact(JSON.stringify(document, null, 2), await knownSecrets(settings, opened.scope));
  const file = resolve(call.text('out') ?? `millrace-support-${settings.environment}.json`);
  await writeFile(file, `${text}\n`, { mode: 0o600 });
  call.output.document(
    { file, bytes: text.length },
    () => `Wrote ${file}, ${text.length} bytes, no secret in it.\n`,
  );
}

async function orError<T>(look: () => Promise<T>): Promise<T | { readonly error: ErrorDocument }> {
  try {
    return await look();
  } catch (error) {
    return { error: errorDocumentOf(error) };
  }
}

/** The last of what the detached process said; nothing where none was started. */
async function endOf(file: string): Promise<string> {
  if (!existsSync(file)) return '';
  const { text, isCut } = await readFileTail(file, LOG_BYTES_MAX);
  // The rest of a cut line could begin with the rest of a secret, which has no value to be known by.
  return isCut ? text.slice(text.indexOf('\n') + 1) : text;
}

/** The values of all secrets that can be read: those drawn here, and what the configuration refers to. */
async function knownSecrets(settings: Settings, scope: Scope): Promise<readonly string[]> {
  const { site, config } = scope;
  const generated = await generatedSecrets(scope);
  const files = generated.flatMap(({ file, nextFile }) =>
    nextFile === undefined ? [file] : [file, nextFile],
  );
  const drawn = await Promise.all(files.map(file => readSecret(site.host, file)));
  const others = secretReferences(config)
    .filter(reference => unresolvedSecret(reference, settings.env) === null)
    .map(({ reference }) => resolveSecret(reference, settings.env));
  return [...drawn, settings.token, ...others].filter(secret => secret !== undefined);
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
