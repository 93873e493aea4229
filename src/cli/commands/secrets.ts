import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { drawSecret } from '../data-directory.ts';
import { formatTable } from '../format.ts';
import { operationCall } from '../operation-call.ts';
import { secretReferences, unresolvedSecret } from '../secret-references.ts';

const TOKEN = 'operator-token';

/** `secrets`: which there are and where they lie; never a secret itself. */
export async function listSecrets(call: Call): Promise<undefined> {
  const { settings, config } = operationCall(call, []);
  const { site } = (await openOperations({ settings, config })).scope;
  const token = await site.host.stat(site.paths.tokenFile);
  const secrets = [
    {
      name: TOKEN,
      reference: `file:${site.paths.tokenFile}`,
      usedBy: 'the API, the console and the command line',
      isThere: token !== undefined,
      isOurs: true,
    },
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

/** `secrets rotate NAME`: draws a generated secret anew; what the operator brings is the operator's to change. */
export async function rotateSecret(call: Call): Promise<undefined> {
  const name = call.arg(0);
  const { settings, config } = operationCall(call, []);
  if (name !== TOKEN) {
    throw new MillraceError('ERR_NOT_FOUND', `"${name}" is not a secret that was generated here`, {
      remedy: `Rotate: ${TOKEN}. Others are changed where their reference points.`,
    });
  }
  const { scope, locked } = await openOperations({ settings, config });
  const served = await scope.site.served();
  if (served !== null) {
    throw new MillraceError('ERR_OPERATION_TARGET', `${served.url} serves with the token as it is`, {
      remedy: `millrace down, then millrace secrets rotate ${TOKEN}, then millrace up`,
    });
  }
  await locked(async () => {
    await scope.site.host.put(scope.site.paths.tokenFile, `${drawSecret()}\n`, { mode: 0o600 });
  });
  call.output.document({ rotated: name }, () => `Drew ${name} anew: ${scope.site.paths.tokenFile}\n`);
}
