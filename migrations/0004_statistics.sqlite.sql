-- What SQLite may assume about the tables when it chooses an index: an archive of ten owners and a million studies.
-- Without it, it takes "of this owner" for as good a lead as "of this patient", and walks the owner's whole list.
-- Given instead of measured, so that plans do not change from one day to the next. PostgreSQL measures by itself.
-- Each line: rows of the table, then rows that share the first, the first two, … columns of the index.

ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('facility', 'sqlite_autoindex_facility_1', '10 1'),
    ('facility', 'sqlite_autoindex_facility_2', '10 1'),
    ('acl_epoch', NULL, '1'),
    ('study', 'sqlite_autoindex_study_1', '1000000 1'),
    ('study', 'sqlite_autoindex_study_2', '1000000 100000 1'),
    ('study', 'study_newest', '1000000 100000 50 2 1'),
    ('study', 'study_by_uid', '1000000 2'),
    ('study', 'study_by_registration', '1000000 5 2'),
    ('study', 'study_by_patient', '1000000 100000 5'),
    ('study', 'study_by_accession', '1000000 100000 2'),
    ('study', 'study_by_name', '1000000 100000 10'),
    ('study', 'study_by_ideographic_name', '1000000 100000 10'),
    ('study', 'study_by_phonetic_name', '1000000 100000 10'),
    ('series', 'sqlite_autoindex_series_1', '5000000 1'),
    ('series', 'sqlite_autoindex_series_2', '5000000 5 1'),
    ('series', 'series_in_order', '5000000 5 2 1'),
    ('series', 'series_by_modality', '5000000 500000 50000 100 2'),
    ('series', 'series_by_uid', '5000000 2'),
    ('pack', 'sqlite_autoindex_pack_1', '2000000 1'),
    ('pack', 'pack_by_study', '2000000 2'),
    ('pack_copy', 'sqlite_autoindex_pack_copy_1', '2000000 1 1'),
    ('metadata_piece', 'sqlite_autoindex_metadata_piece_1', '5000000 3 1'),
    ('metadata_piece', 'metadata_piece_by_series', '5000000 1 1'),
    ('instance', 'sqlite_autoindex_instance_1', '100000000 100 1'),
    ('instance', 'instance_by_uid', '100000000 100 1'),
    ('instance', 'instance_by_series', '100000000 100 20 1 1'),
    ('instance', 'instance_by_pack', '100000000 100 50'),
    ('instance_uid', 'sqlite_autoindex_instance_uid_1', '100000000 10000000 1'),
    ('instance_uid', 'instance_uid_any', '100000000 2');
ANALYZE sqlite_schema;
