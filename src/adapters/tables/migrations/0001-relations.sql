-- The relations of events: one row per record of the topics that leave the chain, named by its position.
-- Times are epoch milliseconds UTC, but for ets_time (ISO 8601 text, UTC). raw is the record's value, JSON text.
-- BIGINT and TEXT so that SQLite and PostgreSQL take the same statements.

CREATE TABLE events (
  eid TEXT,
  mid TEXT,
  did TEXT,
  channel TEXT,
  pdata_id TEXT,
  ets BIGINT,
  ets_time TEXT,
  syncts BIGINT,
  user_id TEXT,
  object_id TEXT,
  object_type TEXT,
  dataset TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  "offset" BIGINT NOT NULL,
  job TEXT,
  source TEXT,
  received_at BIGINT NOT NULL,
  raw TEXT NOT NULL,
  PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX events_mid ON events (mid);
CREATE INDEX events_received_at ON events (received_at);
CREATE INDEX events_summary ON events (received_at) WHERE dataset = 'druid.events.summary';

CREATE TABLE failed (
  eid TEXT,
  mid TEXT,
  did TEXT,
  channel TEXT,
  pdata_id TEXT,
  ets BIGINT,
  ets_time TEXT,
  syncts BIGINT,
  user_id TEXT,
  object_id TEXT,
  object_type TEXT,
  dataset TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  "offset" BIGINT NOT NULL,
  job TEXT,
  source TEXT,
  received_at BIGINT NOT NULL,
  code TEXT,
  reason TEXT,
  pointer TEXT,
  id TEXT NOT NULL,
  raw TEXT NOT NULL,
  PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX failed_mid ON failed (mid);
CREATE INDEX failed_received_at ON failed (received_at, topic, partition, "offset");
CREATE INDEX failed_code ON failed (code, received_at, topic, partition, "offset");
CREATE INDEX failed_job ON failed (job, received_at, topic, partition, "offset");
CREATE INDEX failed_job_code ON failed (job, code, received_at, topic, partition, "offset");

CREATE TABLE duplicates (
  eid TEXT,
  mid TEXT,
  did TEXT,
  channel TEXT,
  pdata_id TEXT,
  ets BIGINT,
  ets_time TEXT,
  syncts BIGINT,
  user_id TEXT,
  object_id TEXT,
  object_type TEXT,
  dataset TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  "offset" BIGINT NOT NULL,
  event_index INTEGER NOT NULL,
  job TEXT,
  source TEXT,
  received_at BIGINT NOT NULL,
  code TEXT,
  reason TEXT,
  pointer TEXT,
  raw TEXT NOT NULL,
  PRIMARY KEY (topic, partition, "offset", event_index)
);
CREATE INDEX duplicates_mid ON duplicates (mid);
CREATE INDEX duplicates_received_at ON duplicates (received_at);

CREATE TABLE audit (
  eid TEXT,
  mid TEXT,
  did TEXT,
  channel TEXT,
  pdata_id TEXT,
  ets BIGINT,
  ets_time TEXT,
  syncts BIGINT,
  user_id TEXT,
  object_id TEXT,
  object_type TEXT,
  dataset TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  "offset" BIGINT NOT NULL,
  job TEXT,
  source TEXT,
  received_at BIGINT NOT NULL,
  raw TEXT NOT NULL,
  PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX audit_mid ON audit (mid);
CREATE INDEX audit_received_at ON audit (received_at);

CREATE TABLE assess (
  eid TEXT,
  mid TEXT,
  did TEXT,
  channel TEXT,
  pdata_id TEXT,
  ets BIGINT,
  ets_time TEXT,
  syncts BIGINT,
  user_id TEXT,
  object_id TEXT,
  object_type TEXT,
  dataset TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  "offset" BIGINT NOT NULL,
  job TEXT,
  source TEXT,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX assess_mid ON assess (mid);
CREATE INDEX assess_received_at ON assess (received_at);

CREATE TABLE dropped (
  eid TEXT,
  mid TEXT,
  did TEXT,
  channel TEXT,
  pdata_id TEXT,
  ets BIGINT,
  ets_time TEXT,
  syncts BIGINT,
  user_id TEXT,
  object_id TEXT,
  object_type TEXT,
  dataset TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  "offset" BIGINT NOT NULL,
  job TEXT,
  source TEXT,
  received_at BIGINT NOT NULL,
  code TEXT,
  reason TEXT,
  pointer TEXT,
  PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX dropped_mid ON dropped (mid);
CREATE INDEX dropped_received_at ON dropped (received_at);

-- Summaries leave the last job too, so they are events; this is the part of them by the name people look for.
CREATE VIEW summaries AS
SELECT
  eid, mid, did, channel, pdata_id, ets, ets_time, syncts, user_id, object_id, object_type, dataset, topic,
  partition, "offset", job, source, received_at, raw
FROM events
WHERE dataset = 'druid.events.summary';
