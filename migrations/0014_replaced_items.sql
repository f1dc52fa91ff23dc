-- Items that an update or a store took out of a study's documents stay readable by number (MINT I05): an object that another
-- replaced keeps the numbers of its items, as its row in instance had them.
-- Written by index/batch/replace.rs, read by index/catalog/items.rs and versions.rs. What was replaced before has none.

ALTER TABLE instance_history ADD COLUMN frame_table BYTEA;
ALTER TABLE instance_history ADD COLUMN number_of_frames BIGINT;
ALTER TABLE instance_history ADD COLUMN first_item INTEGER;
ALTER TABLE instance_history ADD COLUMN item_count INTEGER;
ALTER TABLE instance_history ADD COLUMN item_table BYTEA;
ALTER TABLE instance_history ADD COLUMN item_numbers BYTEA;
-- Which object had item n?
CREATE INDEX instance_history_by_item ON instance_history (study_id, first_item) WHERE first_item IS NOT NULL;
