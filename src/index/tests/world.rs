//! A small world for the tests: facilities, callers, and packs built with good defaults.

use tempfile::TempDir;

use crate::auth::{Access, Scope, ScopeSet, StoreGrant};
use crate::index::Index;
use crate::index::record::{NewInstance, NewPack, Recorded};
use crate::model::{
    AttributeSet, Class, Clock, Facility, FacilityCode, FacilityId, FacilityKind, FacilityState,
    PackId, SeriesUid, SopClassUid, SopInstanceUid, StudyUid, Tag, Timestamp,
};
use crate::storage::{MetaPlace, Piece};

pub(crate) const CT_IMAGE: &str = "1.2.840.10008.5.1.4.1.1.2";

/// What the tests of the index run on is chosen by `KURA_TEST_DATABASE`, for all of them.
#[path = "../../../tests/it/harness/cluster.rs"]
#[expect(unreachable_pub, reason = "written for the integration tests")]
mod cluster;
#[path = "../../../tests/it/harness/watched.rs"]
#[expect(
    unreachable_pub,
    dead_code,
    reason = "written for the integration tests"
)]
mod watched;

pub(crate) use cluster::Cluster;

pub(crate) struct World {
    pub(crate) index: Index,
    /// The database, to open it again.
    pub(crate) url: String,
    _place: Place,
}

/// Where a database is; dropped, it is gone.
pub(crate) enum Place {
    #[expect(dead_code, reason = "kept for as long as the database is used")]
    Folder(TempDir),
    Cluster(String),
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Cluster(name) = self {
            Cluster::shared().drop_database(name);
        }
    }
}

/// Whether the tests run on PostgreSQL. Those that are about SQLite alone skip themselves there and say so.
pub(crate) fn is_postgres() -> bool {
    match std::env::var_os("KURA_TEST_DATABASE") {
        Some(name) if name == "postgres" => true,
        Some(name) => {
            assert!(
                name == "sqlite",
                "KURA_TEST_DATABASE takes sqlite or postgres"
            );
            false
        }
        None => false,
    }
}

/// Says that a test does not run, and why.
pub(crate) fn skipped(why: &str) {
    println!("skipped on PostgreSQL: {why}");
}

/// An empty database.
pub(crate) fn empty() -> (String, Place) {
    if is_postgres() {
        let name = Cluster::shared().empty_database();
        return (Cluster::shared().url(&name), Place::Cluster(name));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.db");
    let url = format!("sqlite://{}?mode=rwc", file.display());
    (url, Place::Folder(folder))
}

/// A database with a schema that is current.
async fn migrated() -> (String, Place) {
    if !is_postgres() {
        let (url, place) = empty();
        let index = Index::open(&url, clock()).await.unwrap();
        index.migrate().await.unwrap();
        return (url, place);
    }
    let migrate = |url: &str| {
        let url = url.to_owned();
        let work = async move {
            let index = Index::open(&url, clock()).await.unwrap();
            index.migrate().await.unwrap();
            index.close().await.unwrap();
        };
        let thread = std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(work));
        thread.join().unwrap();
    };
    let name = Cluster::shared().database(migrate);
    (Cluster::shared().url(&name), Place::Cluster(name))
}

/// All scopes.
pub(crate) const ALL: &[Scope] = &[
    Scope::DicomRead,
    Scope::DicomWrite,
    Scope::ReportRead,
    Scope::DoseRead,
];

pub(crate) fn clock() -> Clock {
    Clock::fixed(Timestamp(1_700_000_000_000_000))
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(clock()).await
    }

    /// A world with a clock that the test moves.
    pub(crate) async fn with(clock: Clock) -> Self {
        let (url, place) = migrated().await;
        let index = Index::open(&url, clock).await.unwrap();
        Self {
            index,
            url,
            _place: place,
        }
    }

    pub(crate) async fn facility(&self, code: &str) -> Facility {
        let code = FacilityCode::parse(code).unwrap();
        self.index
            .add_facility(&code, "Hospital", FacilityKind::Member, &[])
            .await
            .unwrap()
    }

    pub(crate) async fn store(&self, at: &Facility, packs: &[NewPack]) -> Vec<Vec<Recorded>> {
        self.index.record_batch(&grant(at), packs).await.unwrap()
    }
}

pub(crate) fn access(at: &Facility, scopes: &[Scope]) -> Access {
    let set = scopes
        .iter()
        .fold(ScopeSet::default(), |set, scope| set.with(*scope));
    Access::of_person("person".to_owned(), set, at.clone())
}

pub(crate) fn grant(at: &Facility) -> StoreGrant {
    access(at, ALL).may_store_into_own().unwrap()
}

/// Leave to store into a facility that no database knows.
pub(crate) fn grant_of(code: &str) -> StoreGrant {
    person_of(code, ALL).may_store_into_own().unwrap()
}

/// A caller of a facility that no database knows.
pub(crate) fn person_of(code: &str, scopes: &[Scope]) -> Access {
    let facility = Facility {
        id: FacilityId(uuid::Uuid::nil()),
        code: FacilityCode::parse(code).unwrap(),
        name: String::new(),
        kind: FacilityKind::Member,
        state: FacilityState::Active,
        policy: std::sync::Arc::default(),
    };
    access(&facility, scopes)
}

/// An instance to be stored.
pub(crate) struct Instance(NewInstance);

/// An instance of series `1.1`, with a digest that follows from its UID.
pub(crate) fn instance(uid: &str) -> Instance {
    let mut digest = [0; 32];
    digest[..uid.len().min(32)].copy_from_slice(&uid.as_bytes()[..uid.len().min(32)]);
    Instance(NewInstance {
        series: SeriesUid::parse("1.1").unwrap(),
        instance: SopInstanceUid::parse(uid).unwrap(),
        sop_class: SopClassUid::parse(CT_IMAGE).unwrap(),
        transfer_syntax_uid: "1.2.840.10008.1.2.1".to_owned(),
        class: Class::Image,
        attributes: AttributeSet::default(),
        digest,
        range: 0..0,
        meta: MetaPlace {
            block: 10..20,
            json: 3..9,
        },
        frame_table: Some(vec![1, 2, 3]),
        first_item: None,
    })
}

impl Instance {
    pub(crate) fn series(mut self, uid: &str) -> Self {
        self.0.series = SeriesUid::parse(uid).unwrap();
        self
    }

    pub(crate) fn class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    pub(crate) fn bytes(mut self, digest: u8) -> Self {
        self.0.digest = [digest; 32];
        self
    }

    /// Sets an attribute by its keyword.
    pub(crate) fn with(mut self, keyword: &str, text: &str) -> Self {
        let row = row(keyword);
        self.0.attributes.put(row.tag, row.vr, text);
        self
    }
}

pub(crate) fn row(keyword: &str) -> &'static crate::dicom::dictionary::Row {
    let mut table = crate::dicom::dictionary::TABLE.iter();
    table.find(|row| row.keyword == keyword).unwrap()
}

pub(crate) fn tag(keyword: &str) -> Tag {
    row(keyword).tag
}

/// A pack of `study`, 100 bytes an instance, one metadata piece a series.
pub(crate) fn pack(study: &str, instances: Vec<Instance>) -> NewPack {
    let mut instances: Vec<NewInstance> = instances.into_iter().map(|new| new.0).collect();
    let mut pieces: Vec<Piece> = Vec::new();
    for (at, new) in (0_u64..).zip(&mut instances) {
        new.range = at * 100..at * 100 + 100;
        match pieces.iter_mut().find(|piece| piece.series == new.series) {
            Some(piece) => piece.instance_count += 1,
            None => pieces.push(Piece {
                series: new.series.clone(),
                range: at * 10..at * 10 + 10,
                inflated_len: 50,
                crc32: u32::MAX,
                instance_count: 1,
            }),
        }
    }
    let id = Clock::System.new_id();
    NewPack {
        pack_id: PackId(id),
        study: StudyUid::parse(study).unwrap(),
        object: format!("packs/{id}"),
        metadata_object: format!("metadata/{id}"),
        byte_count: 100 * u64::try_from(instances.len()).unwrap(),
        metadata_bytes: 40,
        digest: [7; 32],
        base_url: "http://archive".to_owned(),
        pieces,
        instances,
    }
}
