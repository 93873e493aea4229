-- What was archived: one row per object, beside the object store, which is the truth.
-- Each object is the part-th of parts (from 1) of the records [from_offset, to_offset) of one partition, and
-- holds those of one UTC date. offset_runs is JSON, [[from, to], ...]: the offsets of its lines, in their order.

CREATE TABLE archive_objects (
  object TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  from_offset BIGINT NOT NULL,
  to_offset BIGINT NOT NULL,
  date TEXT NOT NULL,
  part INTEGER NOT NULL,
  parts INTEGER NOT NULL,
  records BIGINT NOT NULL,
  size_bytes BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  offset_runs TEXT NOT NULL,
  PRIMARY KEY (object)
);
CREATE INDEX archive_objects_position ON archive_objects (topic, partition, from_offset);
