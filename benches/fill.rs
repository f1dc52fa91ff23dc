//! An archive of many studies made by the database itself: rows of studies, series and names, spread evenly over the
//! facilities that are there. There are no instances and no bytes; searching for studies and series asks for neither.

/// Which database the statements are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// Studies of one patient.
const OF_ONE_PATIENT: u64 = 5;
/// Series of one study.
const SERIES: u64 = 3;

/// Syllables of family and given names, each in letters, kanji and kana.
const SYLLABLES: [(&str, &str, &str); 16] = [
    ("YAMA", "山", "ヤマ"),
    ("TA", "田", "タ"),
    ("NAKA", "中", "ナカ"),
    ("KAWA", "川", "カワ"),
    ("MURA", "村", "ムラ"),
    ("KI", "木", "キ"),
    ("MOTO", "本", "モト"),
    ("MATSU", "松", "マツ"),
    ("NO", "野", "ノ"),
    ("HARA", "原", "ハラ"),
    ("UE", "上", "ウエ"),
    ("SHITA", "下", "シタ"),
    ("O", "大", "オ"),
    ("KO", "小", "コ"),
    ("TAKA", "高", "タカ"),
    ("ISHI", "石", "イシ"),
];

/// A made-up name: `n` of 256 of them, alphabetic, ideographic and phonetic.
fn name(n: usize) -> [String; 3] {
    let (a, b) = (SYLLABLES[n / 16 % 16], SYLLABLES[n % 16]);
    [
        format!("{}{}", a.0, b.0),
        format!("{}{}", a.1, b.1),
        format!("{}{}", a.2, b.2),
    ]
}

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Studies, their series, and what names are found by.
    All,
    /// Studies and a change of each, a millisecond after the one before.
    Changes,
}

/// A study's number is the end of its UID.
const CHANGES: &str = "INSERT INTO change (study_id, study_version, owner_facility_id, operation, remote, changed_at) \
     SELECT study_id, 1, owner_facility_id, 'CREATE', '-', \
     1700000000000000 + 1000 * CAST(SUBSTR(study_instance_uid, 41) AS BIGINT) FROM study";

/// The statements that make `studies` studies, in their order.
pub(crate) fn statements(dialect: Dialect, studies: u64, of: Of) -> Vec<String> {
    let names: Vec<String> = (0..256)
        .map(|n| {
            let [letters, kanji, kana] = name(n);
            format!("({n}, '{letters}', '{kanji}', '{kana}')")
        })
        .collect();
    let id = |kind: u32, n: &str| match dialect {
        Dialect::Sqlite => format!("CAST(unhex(printf('{kind:08x}%024x', {n})) AS BLOB)"),
        Dialect::Postgres => format!("('{kind:08x}' || lpad(to_hex({n}), 24, '0'))::uuid"),
    };
    let pad = |n: &str, width: usize| match dialect {
        Dialect::Sqlite => format!("printf('%0{width}d', {n})"),
        Dialect::Postgres => format!("lpad(CAST({n} AS TEXT), {width}, '0')"),
    };
    let count = |most: u64| {
        format!("counted (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < {most})")
    };
    let day = format!(
        "{} || {} || {}",
        pad("2015 + (i * 17) % 10", 4),
        pad("1 + (i * 13) % 12", 2),
        pad("1 + (i * 11) % 28", 2)
    );
    let clock = format!(
        "{} || {} || {}",
        pad("7 + (i * 5) % 12", 2),
        pad("(i * 23) % 60", 2),
        pad("(i * 37) % 60", 2)
    );
    let modality = |n: &str| {
        format!(
            "CASE ({n} * 7) % 10 WHEN 0 THEN 'MR' WHEN 1 THEN 'MR' WHEN 2 THEN 'US' WHEN 3 THEN 'PT' \
             WHEN 4 THEN 'CR' WHEN 5 THEN 'CR' ELSE 'CT' END"
        )
    };
    // The person of study i, and a scramble of it that spreads the names.
    let made = format!(
        "made AS (SELECT i, (i % (SELECT COUNT(*) FROM facility)) AS f, p, 1 + (p * 7919) % 65536 AS q FROM \
         (SELECT i, (i / ({OF_ONE_PATIENT} * (SELECT COUNT(*) FROM facility)) * (SELECT COUNT(*) FROM facility) + \
         i % (SELECT COUNT(*) FROM facility)) AS p FROM counted) numbered)"
    );
    let owners =
        "owners AS (SELECT facility_id, row_number() OVER (ORDER BY code) - 1 AS f FROM facility)";
    let study = format!(
        "INSERT INTO study (study_id, owner_facility_id, study_instance_uid, study_date, study_time, study_time_key, \
         accession_number, accession_number_key, study_description, study_description_key, patient_name, \
         fold_alphabetic, fold_ideographic, fold_phonetic, name_key, patient_id, patient_id_key, patient_birth_date, \
         patient_sex, patient_sex_key, series_count, instance_count, byte_count, modalities, sop_classes, class_mask, \
         sealed_count, study_version, next_item, first_stored_at, last_stored_at) \
         WITH RECURSIVE {counted}, {made}, {owners} \
         SELECT {id}, o.facility_id, '1.2.392.200036.9116.2.6.1.48.1214245753.' || CAST(i AS TEXT), {day}, {clock}, \
         {clock} || '.000000', 'ACC' || {number}, 'ACC' || {number}, 'Study ' || CAST(i % 97 AS TEXT), \
         'STUDY ' || CAST(i % 97 AS TEXT), a.letters || '^' || b.letters || '=' || a.kanji || '^' || b.kanji || '=' || \
         a.kana || '^' || b.kana, a.letters || '^' || b.letters, a.kanji || '^' || b.kanji, a.kana || '^' || b.kana, \
         a.letters || '^' || b.letters || '=' || a.kanji || '^' || b.kanji || '=' || a.kana || '^' || b.kana, \
         'P' || {patient}, 'P' || {patient}, '19' || {year} || '0101', 'F', 'F', {SERIES}, 300, 1000000, {modality}, \
         '1.2.840.10008.5.1.4.1.1.2', 1, 0, 1, 0, 1700000000000000, 1700000000000000 \
         FROM made m JOIN owners o ON o.f = m.f JOIN made_name a ON a.n = q % 256 JOIN made_name b ON b.n = q / 256 % 256",
        counted = count(studies),
        id = id(1, "i"),
        number = pad("i", 8),
        patient = pad("p", 8),
        year = pad("p % 90 + 10", 2),
        modality = modality("i"),
    );
    let series = format!(
        "INSERT INTO series (series_id, study_id, owner_facility_id, series_instance_uid, modality, modality_key, \
         series_number, study_date, class_mask, instance_count, byte_count, sop_classes, is_sealed, first_stored_at) \
         WITH RECURSIVE {counted}, {owners}, numbers (k) AS (VALUES (1), (2), (3)) \
         SELECT {id}, {study}, o.facility_id, '1.2.392.200036.9116.2.6.1.48.1214245753.' || CAST(i AS TEXT) || '.' || \
         CAST(k AS TEXT), {modality}, {modality}, k, {day}, 1, 100, 333333, '1.2.840.10008.5.1.4.1.1.2', FALSE, \
         1700000000000000 FROM counted JOIN owners o ON o.f = i % (SELECT COUNT(*) FROM facility) CROSS JOIN numbers",
        counted = count(studies),
        id = id(2, "(i * 4 + k)"),
        study = id(1, "i"),
        modality = modality("i"),
    );
    let mut statements = vec![
        "CREATE TABLE made_name (n INTEGER PRIMARY KEY, letters TEXT, kanji TEXT, kana TEXT)"
            .into(),
        format!("INSERT INTO made_name VALUES {}", names.join(", ")),
        study,
    ];
    if of == Of::All {
        statements.push(series);
    }
    statements.push("DROP TABLE made_name".into());
    match of {
        Of::All => statements.extend(pieces(dialect)),
        Of::Changes => statements.push(CHANGES.to_owned()),
    }
    if dialect == Dialect::Postgres {
        statements.push("ANALYZE".to_owned());
    }
    statements
}

/// The statements of the migration that cut texts into words and pieces.
fn pieces(dialect: Dialect) -> Vec<String> {
    let migration = match dialect {
        Dialect::Sqlite => include_str!("../migrations/0005_name_search.sqlite.sql"),
        Dialect::Postgres => include_str!("../migrations/0005_name_search.postgres.sql"),
    };
    let begins = ["INSERT INTO search_text", "INSERT INTO search_piece"];
    let statement = |begin| {
        let at = migration
            .find(begin)
            .expect("the migration fills the table");
        let text = &migration[at..];
        text[..text.find(';').expect("the statement ends")].to_owned()
    };
    begins.into_iter().map(statement).collect()
}
