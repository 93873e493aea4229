import { MillraceError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import { armFailpoint, failpoint } from '../../observability/failpoint.ts';
import { type Operation, operationPath } from '../../operations/engine/operation.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { refuseUnconfirmed } from '../confirm.ts';
import { drawSecret } from '../data-directory.ts';
import { formatTable } from '../format.ts';
import { type GeneratedSecret, generatedSecrets } from '../generated-secrets.ts';
import { operationCall } from '../operation-call.ts';
import { secretReferences, unresolvedSecret } from '../secret-references.ts';
import { finish, tell } from './run.ts';

/** `secrets`: which there are and where they lie; never a secret itself. */
export async function listSecrets(call: Call): Promise<undefined> {
  const { settings, config } = operationCall(call, []);
  const { scope } = await openOperations({ settings, config });
  const generated = await generatedSecrets(scope);
  const own = generated.map(async ({ name, file, usedBy }) => ({
    name,
    reference: `file:${file}`,
    usedBy,
    isThere: (await scope.site.host.stat(file)) !== undefined,
    isOurs: true,
  }));
  const secrets = [
    ...(await Promise.all(own)),
    ...secretReferences(config).map(reference => ({
      name: reference.key,
      reference: reference.reference,
      usedBy: reference.usedBy,
      isThere: unresolvedSecret(reference, settings.env) === null,
      isOurs: false,
    })),
  ];
  call.output.document({ secrets }, () =>
    formatTable(
      [{ title: 'SECRET' }, { title: 'STATE' }, { title: 'USED BY' }, { title: 'REFERENCE' }],
      secrets.map(row => [row.name, row.isThere ? 'there' : 'MISSING', row.usedBy, row.reference]),
    ),
  );
}

/**
 * `secrets rotate NAME`: draws a generated secret anew, and has the server that knows it take the new one. Where that
 * is cut off, the server's operation has drifted, and running it ends it. What the operator brings is not touched.
 */
export async function rotateSecret(call: Call): Promise<number> {
  const name = call.arg(0);
  const { settings, config } = operationCall(call, []);
  const opened = await openOperations({ settings, config });
  const generated = await generatedSecrets(opened.scope);
  const secret = generated.find(candidate => candidate.name === name);
  if (secret === undefined) {
    throw new MillraceError('ERR_NOT_FOUND', `"${name}" is not a secret that was generated here`, {
      remedy: `Rotate: ${generated.map(row => row.name).join(', ')}. Others are changed where their reference points.`,
    });
  }
  await refuseUnconfirmed(call, settings.environment, config);
  const { site } = opened.scope;
  const served = secret.isServedWith ? await site.served() : null;
  if (served !== null) {
    throw new MillraceError('ERR_OPERATION_TARGET', `${served.url} serves with ${name} as it is`, {
      remedy: `millrace down, then millrace secrets rotate ${name}, then millrace up`,
    });
  }
  if (secret.operation !== undefined && (await site.host.stat(secret.file)) === undefined) {
    throw new MillraceError('ERR_NOT_FOUND', `${name} was not drawn yet`, {
      remedy: `It is drawn by: millrace run ${operationPath(secret.operation, settings.environment)}`,
    });
  }
  armFailpoint(config['debug.failpoint']);
  if (secret.nextFile !== undefined && (await site.host.stat(secret.nextFile)) !== undefined) {
    // An earlier one that was cut off ends first: the server may have its password already.
    const exitCode = secret.operation === undefined ? 0 : await takeOver(call, secret.operation);
    if (exitCode !== 0) return exitCode;
  }
  await opened.locked(() => drawAnew(secret, site.host));
  call.output.document({ rotated: name }, () => `Drew ${name} anew: ${secret.file}\n`);
  return secret.operation === undefined ? 0 : takeOver(call, secret.operation);
}

async function drawAnew({ file, made, nextFile }: GeneratedSecret, host: Host): Promise<void> {
  if (nextFile === undefined) for (const path of made) await host.remove(path);
  await host.put(nextFile ?? file, `${drawSecret()}\n`, { mode: 0o600 });
  failpoint('secrets.afterDraw');
}

/** Has a server take the password that was drawn. */
async function takeOver(call: Call, operation: Operation): Promise<number> {
  const { settings, config } = operationCall(call, []);
  const opened = await openOperations({ settings, config, emit: event => tell(call.output, event) });
  const paths = [operationPath(operation, settings.environment)];
  return finish(call.output, await opened.run({ paths, operations: [operation], only: false }));
}
