import { packageVersion } from '../../config/environment.ts';
import type { Call } from '../call.ts';

/** `version`. */
export async function version({ output }: Call): Promise<undefined> {
  const document = { version: packageVersion(), node: process.versions.node };
  output.document(document, () => `millrace ${document.version} (Node ${document.node})\n`);
}
