-- Pages of events are ordered by time and then by the row's key, which both databases have (row ids are SQLite's
-- alone). The key is part of the index, so that rows of one millisecond are read in order and not sorted.

DROP INDEX events_received_at;
DROP INDEX duplicates_received_at;
DROP INDEX dropped_received_at;
CREATE INDEX events_received_at ON events (received_at, topic, partition, "offset");
CREATE INDEX duplicates_received_at ON duplicates (received_at, topic, partition, "offset", event_index);
CREATE INDEX dropped_received_at ON dropped (received_at, topic, partition, "offset");
