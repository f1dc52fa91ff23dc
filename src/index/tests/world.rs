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

pub(crate) struct World {
    pub(crate) index: Index,
    pub(crate) folder: TempDir,
}

/// All scopes.
pub(crate) const ALL: &[Scope] = &[
    Scope::DicomRead,
    Scope::DicomWrite,
    Scope::ReportRead,
    Scope::DoseRead,
];

pub(crate) fn url(folder: &TempDir) -> String {
    format!(
        "sqlite://{}?mode=rwc",
        folder.path().join("index.db").display()
    )
}

pub(crate) fn clock() -> Clock {
    Clock::fixed(Timestamp(1_700_000_000_000_000))
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(&url(&folder), clock()).await.unwrap();
        index.migrate().await.unwrap();
        Self { index, folder }
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
