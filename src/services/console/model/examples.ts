/** Queries to begin with, each with the name of its button. SQLite and PostgreSQL answer them alike. */
export const EXAMPLES: readonly (readonly [name: string, sql: string])[] = [
  [
    'By kind',
    `SELECT eid, count(*) AS events
FROM events
GROUP BY eid
ORDER BY events DESC`,
  ],
  [
    'Each minute',
    `SELECT substr(ets_time, 1, 16) AS minute_utc, count(*) AS events
FROM events
GROUP BY minute_utc
ORDER BY minute_utc`,
  ],
  [
    'Busiest devices',
    `SELECT did, count(*) AS events, max(ets_time) AS last_event
FROM events
GROUP BY did
ORDER BY events DESC
LIMIT 100`,
  ],
  [
    'Rejected',
    `SELECT code, pointer, reason, count(*) AS events
FROM failed
GROUP BY code, pointer, reason
ORDER BY events DESC`,
  ],
  [
    'Inside events',
    `SELECT eid, raw ->> '$.edata.pageid' AS page, count(*) AS events
FROM events
WHERE raw ->> '$.edata.pageid' IS NOT NULL
GROUP BY eid, page
ORDER BY events DESC`,
  ],
];
