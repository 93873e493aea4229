/** Rejections that are grouped: the newest. Each one's whole text is read for the version of its producer. */
export const GROUPED_MAX = 100_000;
const GROUPS_MAX = 500;

/**
 * What was rejected from `fromMs` on, by a job or, where it is empty, by any: one row for those that are alike, the
 * most frequent first. Of more than `groupedMax` the newest are grouped, in the order of the index on the time, so that
 * the question costs the same however many there are.
 */
export function groupsSql(fromMs: number, job: string, groupedMax = GROUPED_MAX): string {
  return `SELECT code, job, eid, pointer, reason, pdata_id, version,
  count(*) AS count, max(received_at || ' ' || id) AS newest
FROM (
  SELECT code, job, eid, pointer, reason, pdata_id, received_at, id,
    CASE WHEN json_valid(raw) THEN raw ->> '$.context.pdata.ver' END AS version
  FROM failed ${whereOf(fromMs, job)}
  ORDER BY received_at DESC LIMIT ${groupedMax}
) AS newest_failed
GROUP BY code, job, eid, pointer, reason, pdata_id, version
ORDER BY count DESC LIMIT ${GROUPS_MAX}`;
}

/** How many of each code were rejected in each bucket of the time: all of them, which an index alone tells. */
export function timesSql(fromMs: number, job: string, bucketMs: number): string {
  return `SELECT code, received_at / ${bucketMs} AS bucket, count(*) AS count
FROM failed ${whereOf(fromMs, job)} GROUP BY code, bucket ORDER BY code`;
}

function whereOf(fromMs: number, job: string): string {
  return `WHERE received_at >= ${fromMs}${job === '' ? '' : ` AND job = '${job.replaceAll("'", "''")}'`}`;
}
