import { loadConfig } from '../../config/load.ts';
import { didYouMean } from '../../config/suggest.ts';
import type { JobDocument } from '../../core/documents.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Call } from '../call.ts';
import { describeJobs, jobDocuments } from '../compose-jobs.ts';
import { formatPairs, formatTable } from '../format.ts';

/** `job list`: needs no server. Topics without the environment's prefix. */
export async function listJobs(call: Call): Promise<undefined> {
  const jobs = describeAll(call);
  call.output.document({ jobs }, () =>
    formatTable(
      [{ title: 'JOB' }, { title: 'REPLACES' }, { title: 'DOES' }],
      jobs.map(job => [job.job, job.replaces, job.does]),
    ),
  );
}

/** `job describe JOB`. */
export async function describeJob(call: Call): Promise<undefined> {
  const name = call.arg(0);
  const jobs = describeAll(call);
  const job = jobs.find(candidate => candidate.job === name);
  if (job === undefined) {
    const known = jobs.map(candidate => candidate.job);
    throw new MillraceError('ERR_JOB_UNKNOWN', `there is no job "${name}"${didYouMean(name, known)}`);
  }
  call.output.document(job, () =>
    formatPairs([
      ['job', job.job],
      ['does', job.does],
      ['replaces', job.replaces],
      ...job.inputs.map((topic, index) => [index === 0 ? 'reads' : '', topic] as const),
      ...job.outputs.map((topic, index) => [index === 0 ? 'writes' : '', topic] as const),
    ]),
  );
}

function describeAll(call: Call): readonly JobDocument[] {
  return jobDocuments(describeJobs(loadConfig(call.settings).config));
}
