-- Since when the object of a copy is known to be gone or cut. Written by `kura verify`, read by index/search for Instance
-- Availability (dicomweb.md Q69). NULL: nothing is known against it, as of every copy there is.

ALTER TABLE pack_copy ADD COLUMN missing_since BIGINT;

-- Whether there is any such copy at all is asked with every page of a search.
CREATE INDEX pack_copy_missing ON pack_copy (pack_id) WHERE missing_since IS NOT NULL;
