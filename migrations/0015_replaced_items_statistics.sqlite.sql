-- What SQLite may assume of the index of 0014 (0004).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('instance_history', 'instance_history_by_item', '10000 10 5');
ANALYZE sqlite_schema;
