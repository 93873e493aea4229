import { composeHost } from '../../src/cli/compose-servers.ts';
import { sleeper } from './contract.ts';

/** Starts a server and waits to be killed: the run that ends without stopping what it started. */

const [folder = ''] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await composeHost(folder).start(sleeper(folder)))}\n`);
setInterval(() => undefined, 1000);
