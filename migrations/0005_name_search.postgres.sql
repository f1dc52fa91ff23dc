-- Searching inside names and patient numbers (docs/decisions/0007-name-search.md). `search_text` leads from a word to the
-- names of an owner in which it stands, `search_piece` from the endings of a word, cut to eight characters, to the word.
-- Written by index/batch through index/parts.rs, read by index/search/narrow.rs. Rows exist: they are made findable here.

-- The folded groups of the patient's name in one, NULL without a name.
ALTER TABLE study ADD COLUMN name_key TEXT COLLATE "C";
UPDATE study SET name_key = COALESCE(fold_alphabetic, '') || '=' || COALESCE(fold_ideographic, '') || '=' || COALESCE(fold_phonetic, '')
    WHERE fold_alphabetic IS NOT NULL OR fold_ideographic IS NOT NULL OR fold_phonetic IS NOT NULL;
CREATE INDEX study_by_name_key ON study (owner_facility_id, name_key);
-- The words lead to all three groups. The alphabetic one stays: lists are ordered by it.
DROP INDEX study_by_ideographic_name;
DROP INDEX study_by_phonetic_name;

-- The list of the newest with what decides whether a study is seen: what lies behind a page is counted in the index alone.
DROP INDEX study_newest;
CREATE UNIQUE INDEX study_newest ON study
    (owner_facility_id, study_date DESC, study_time_key DESC, study_instance_uid, study_id, class_mask, sealed_count);

-- kind: 1 the name_key of studies. Numbers need no row: one is its own only word.
CREATE TABLE search_text (
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    kind INTEGER NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_facility_id, kind, word, text)
);

-- kind: 1 words of names, 2 the patient_id_key of studies.
CREATE TABLE search_piece (
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    kind INTEGER NOT NULL,
    piece TEXT COLLATE "C" NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_facility_id, kind, piece, word)
);

-- One separator and one word are cut off each time.
INSERT INTO search_text (owner_facility_id, kind, word, text)
WITH RECURSIVE
    names (owner_facility_id, text) AS (
        SELECT DISTINCT owner_facility_id, name_key FROM study WHERE name_key IS NOT NULL
    ),
    cuts (owner_facility_id, text, word, rest) AS (
        SELECT owner_facility_id, text, '' COLLATE "C",
            replace(replace(replace(replace(replace(text, ' ', '^'), ',', '^'), '\', '^'), '=', '^'), '、', '^') || '^'
        FROM names
        UNION ALL
        SELECT owner_facility_id, text, substr(rest, 1, strpos(rest, '^') - 1), substr(rest, strpos(rest, '^') + 1) FROM cuts WHERE rest <> ''
    )
SELECT DISTINCT owner_facility_id, 1, word, text FROM cuts WHERE word <> '';

INSERT INTO search_piece (owner_facility_id, kind, piece, word)
WITH RECURSIVE
    words (owner_facility_id, kind, word) AS (
        SELECT DISTINCT owner_facility_id, kind, word FROM search_text
        UNION ALL
        SELECT DISTINCT owner_facility_id, 2, patient_id_key FROM study WHERE patient_id_key IS NOT NULL
    ),
    endings (owner_facility_id, kind, word, rest) AS (
        SELECT owner_facility_id, kind, word, word FROM words
        UNION ALL
        SELECT owner_facility_id, kind, word, substr(rest, 2) FROM endings WHERE length(rest) > 1
    )
SELECT DISTINCT owner_facility_id, kind, substr(rest, 1, 8), word FROM endings;
