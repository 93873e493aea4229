import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { openOperations } from '../compose-operations.ts';
import { stopEnvironmentServers } from '../compose-servers.ts';
import { refuseUnconfirmed } from '../confirm.ts';
import { detachedFiles } from '../detach.ts';
import { operationCall } from '../operation-call.ts';

/** What of an environment's folder is no data, and goes also with --keep-data. */
const NOT_DATA = ['serving.json', 'operations/records', 'operations/unfinished', 'operations/runs'];
const NOT_DATA_FILES = ['operations/topics.json', 'processes'];

/**
 * `uninstall [--keep-data]`: removes an environment and, with the last of them, what they share. Touches only a
 * data directory that carries our mark. With --keep-data records, tables, archive, secrets and receipts stay.
 */
export async function uninstall(call: Call): Promise<undefined> {
  const { settings, config } = operationCall(call, []);
  if (!call.flag('plan')) await refuseUnconfirmed(call, settings.environment, config);
  const { scope, locked } = await openOperations({ settings, config });
  const { host, paths, formatStamp } = scope.site;
  if (!existsSync(paths.data)) {
    throw new MillraceError('ERR_NOT_FOUND', `${paths.data} does not exist`, {
      remedy: 'Nothing was touched. Name the data directory: --data FOLDER',
    });
  }
  const stamp = await host.read(join(paths.data, 'format.json'));
  if (stamp === undefined || Buffer.from(stamp).toString('utf8') !== formatStamp) {
    throw new MillraceError('ERR_DATA_FORMAT', `${paths.data} does not carry the mark of this version`, {
      remedy: 'Nothing was touched. Name the data directory: --data FOLDER',
    });
  }
  const served = await scope.site.served();
  if (served !== null) {
    throw new MillraceError('ERR_UNDO_REFUSED', `${served.url} serves the environment`, {
      remedy: 'Stop it first: millrace down',
    });
  }
  const keepsData = call.flag('keepData');
  const own = keepsData
    ? [...NOT_DATA, ...NOT_DATA_FILES].map(name => join(paths.root, name))
    : [paths.root, ...detachedFiles(settings)];
  const others = readdirSync(paths.data, { withFileTypes: true }).filter(
    entry => entry.isDirectory() && !['releases', settings.environment].includes(entry.name),
  );
  const shared = others.length > 0 ? [] : [paths.releases];
  const mark = others.length > 0 || keepsData ? [] : [join(paths.data, 'format.json')];
  const removed = [...own, ...shared, ...mark].filter(path => existsSync(path));
  if (!call.flag('plan')) {
    // The lock's own folder goes last, when nobody else can have it.
    await locked(async () => {
      await stopEnvironmentServers({ ...settings, config });
      for (const path of removed.filter(path => path !== paths.root)) await host.remove(path);
    });
    if (!keepsData) await host.remove(paths.root);
  }
  call.output.document(
    { removed, keptData: keepsData },
    () =>
      removed.map(path => `remove ${path}\n`).join('') ||
      `Nothing of ${settings.environment} is in ${paths.data}.\n`,
  );
}
