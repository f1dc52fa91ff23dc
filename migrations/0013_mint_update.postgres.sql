-- What an update of a study leaves behind (MINT 7.3, 9.4): its document, and numbers of items that do not follow each other.
-- Written by index/batch and index/mint, read by index/mint and index/catalog. Nothing was updated before.

-- Which numbers the items of an instance have, where an update gave them (src/dicom/mint/numbers.rs); NULL where they follow each
-- other from first_item on.
ALTER TABLE instance ADD COLUMN item_numbers BYTEA;
-- Which instances have such numbers? Hardly any.
CREATE INDEX instance_scattered ON instance (study_id) WHERE item_numbers IS NOT NULL;

-- The document of an update with the numbers that hold in the study: protobuf, compressed by gzip. study_version: the version that
-- it made, from 1. It names patients, so that it goes when anything of the study is erased.
CREATE TABLE mint_update (
    study_id UUID NOT NULL,
    study_version INTEGER NOT NULL,
    document BYTEA NOT NULL,
    PRIMARY KEY (study_id, study_version)
);
