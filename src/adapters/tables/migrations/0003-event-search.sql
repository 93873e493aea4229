-- Looking for the events of a device or a person; newest first, so the time is part of the key. Rows of eid and
-- channel are found by reading back through received_at: an index of few values would cost every insert.

CREATE INDEX events_did ON events (did, received_at);
CREATE INDEX events_user_id ON events (user_id, received_at);
CREATE INDEX failed_did ON failed (did, received_at);
CREATE INDEX failed_user_id ON failed (user_id, received_at);
CREATE INDEX duplicates_did ON duplicates (did, received_at);
CREATE INDEX duplicates_user_id ON duplicates (user_id, received_at);
CREATE INDEX dropped_did ON dropped (did, received_at);
CREATE INDEX dropped_user_id ON dropped (user_id, received_at);
