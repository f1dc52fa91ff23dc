//! Scopes: the verbs a token allows on what is visible already, and the roles that bundle them (SH-2.4, SH-2.5).
//!
//! A handler names the scope it needs by its type, as in `Caller<DicomRead>`.

use std::marker::PhantomData;

/// One scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// `dicom.read`: search and retrieve.
    DicomRead,
    /// `dicom.write`: store into the own facility.
    DicomWrite,
    /// `dicom.correct`: correct, reject, split and merge own studies.
    DicomCorrect,
    /// `dicom.delete`: ask for a deletion.
    DicomDelete,
    /// `dicom.delete.approve`: be the second person of a deletion.
    DicomDeleteApprove,
    /// `report.read`: encapsulated documents, structured and plain reports.
    ReportRead,
    /// `report.write`: write them.
    ReportWrite,
    /// `dose.read`: dose of the own facility and of disclosed studies.
    DoseRead,
    /// `dose.write`: mapping, notes and manual values.
    DoseWrite,
    /// `dose.admin`: rules, reference levels, devices.
    DoseAdmin,
    /// `dose.benchmark`: comparison between facilities.
    DoseBenchmark,
    /// `worklist.read`: work items of the own facility.
    WorklistRead,
    /// `worklist.write`: change them.
    WorklistWrite,
    /// `share.grant`: create and change disclosures of own studies.
    ShareGrant,
    /// `share.revoke`: take them back.
    ShareRevoke,
    /// `share.external`: share links and disclosures to the outside.
    ShareExternal,
    /// `nayose.search`: search for candidates.
    NayoseSearch,
    /// `nayose.confirm`: link and unlink for the own facility.
    NayoseConfirm,
    /// `nayose.steward`: links and distinct assertions of the group.
    NayoseSteward,
    /// `btg`: start an override.
    Btg,
    /// `audit.read.own`: the audit trail of the own facility.
    AuditReadOwn,
    /// `audit.read.all`: the audit trail of the group.
    AuditReadAll,
    /// `lifecycle.read`: tiers, holds, retention.
    LifecycleRead,
    /// `lifecycle.manage`: change them.
    LifecycleManage,
    /// `admin.facility`: facilities, issuers, groups.
    AdminFacility,
    /// `admin.policy`: policies.
    AdminPolicy,
    /// `admin.token`: deny lists.
    AdminToken,
}

/// Every scope with its name on the wire, in the order of the enum.
static SCOPES: &[(Scope, &str)] = &[
    (Scope::DicomRead, "dicom.read"),
    (Scope::DicomWrite, "dicom.write"),
    (Scope::DicomCorrect, "dicom.correct"),
    (Scope::DicomDelete, "dicom.delete"),
    (Scope::DicomDeleteApprove, "dicom.delete.approve"),
    (Scope::ReportRead, "report.read"),
    (Scope::ReportWrite, "report.write"),
    (Scope::DoseRead, "dose.read"),
    (Scope::DoseWrite, "dose.write"),
    (Scope::DoseAdmin, "dose.admin"),
    (Scope::DoseBenchmark, "dose.benchmark"),
    (Scope::WorklistRead, "worklist.read"),
    (Scope::WorklistWrite, "worklist.write"),
    (Scope::ShareGrant, "share.grant"),
    (Scope::ShareRevoke, "share.revoke"),
    (Scope::ShareExternal, "share.external"),
    (Scope::NayoseSearch, "nayose.search"),
    (Scope::NayoseConfirm, "nayose.confirm"),
    (Scope::NayoseSteward, "nayose.steward"),
    (Scope::Btg, "btg"),
    (Scope::AuditReadOwn, "audit.read.own"),
    (Scope::AuditReadAll, "audit.read.all"),
    (Scope::LifecycleRead, "lifecycle.read"),
    (Scope::LifecycleManage, "lifecycle.manage"),
    (Scope::AdminFacility, "admin.facility"),
    (Scope::AdminPolicy, "admin.policy"),
    (Scope::AdminToken, "admin.token"),
];

/// SMART App Launch v2 scopes that mean one of ours. Those of `patient/` count only in a token with a patient context.
static SMART: &[(&str, &[Scope])] = &[
    ("patient/DiagnosticReport.rs", &[Scope::ReportRead]),
    ("patient/DocumentReference.rs", &[Scope::ReportRead]),
    ("patient/ImagingStudy.rs", &[Scope::DicomRead]),
    ("system/DiagnosticReport.rs", &[Scope::ReportRead]),
    ("system/DocumentReference.rs", &[Scope::ReportRead]),
    (
        "system/ImagingStudy.cruds",
        &[Scope::DicomRead, Scope::DicomWrite],
    ),
    ("user/DiagnosticReport.rs", &[Scope::ReportRead]),
    ("user/DocumentReference.rs", &[Scope::ReportRead]),
    ("user/ImagingStudy.rs", &[Scope::DicomRead]),
];

/// The built-in roles. `edge` is a machine's: what the payload in SH-2.3 carries.
static ROLES: &[(&str, &str)] = &[
    ("dose_manager", "dose.read dose.write dose.admin"),
    ("edge", "dicom.read dicom.write"),
    ("external_reader", "dicom.read report.read"),
    (
        "facility_admin",
        "admin.facility audit.read.own lifecycle.read nayose.search",
    ),
    (
        "group_admin",
        "admin.facility admin.policy admin.token lifecycle.manage dose.benchmark",
    ),
    (
        "nayose_steward",
        "nayose.search nayose.confirm nayose.steward",
    ),
    (
        "physician",
        "dicom.read report.read nayose.search nayose.confirm share.grant share.revoke btg",
    ),
    ("privacy_officer", "audit.read.all"),
    (
        "radiologist",
        "dicom.read report.read nayose.search nayose.confirm share.grant share.revoke btg \
         dicom.write report.write",
    ),
    (
        "referral_desk",
        "dicom.read report.read share.grant share.revoke share.external nayose.search \
         nayose.confirm",
    ),
    (
        "technologist",
        "dicom.read dicom.write dicom.correct dose.read dose.write worklist.read worklist.write \
         nayose.search",
    ),
];

impl Scope {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        SCOPES
            .iter()
            .find(|(scope, _)| *scope == self)
            .map_or("", |(_, name)| name)
    }

    /// Reads a name, dotted or with colons; `None` for what is no scope of ours.
    pub fn parse(name: &str) -> Option<Self> {
        let dotted = name.replace(':', ".");
        SCOPES
            .iter()
            .find(|(_, known)| *known == dotted)
            .map(|(scope, _)| *scope)
    }

    /// Whether the scope belongs to the administrative surface, which answers 404 to everyone else (SH-2.5).
    pub fn is_administrative(self) -> bool {
        ADMINISTRATIVE.contains(self)
    }
}

/// `admin.*`, `audit.*` and `lifecycle.manage` (SH-2.5).
const ADMINISTRATIVE: ScopeSet = ScopeSet(0)
    .with(Scope::AuditReadOwn)
    .with(Scope::AuditReadAll)
    .with(Scope::LifecycleManage)
    .with(Scope::AdminFacility)
    .with(Scope::AdminPolicy)
    .with(Scope::AdminToken);

/// A scope as a type, so that the signature of a handler states it.
pub trait ScopeName {
    /// The scope.
    const SCOPE: Scope;

    /// Whether the call names an object. Then the scope is not asked for at the door but after the object was found
    /// visible, because only there can 403 be told from 404 (SH-3.4).
    const OF_OBJECT: bool = false;
}

/// The scope `S` of a call that names an object, as in `Caller<OfObject<DicomRead>>`.
#[derive(Debug)]
pub struct OfObject<S>(PhantomData<S>);

impl<S: ScopeName> ScopeName for OfObject<S> {
    const SCOPE: Scope = S::SCOPE;
    const OF_OBJECT: bool = true;
}

/// [`Scope::DicomRead`] as a type.
#[derive(Debug)]
pub struct DicomRead;

impl ScopeName for DicomRead {
    const SCOPE: Scope = Scope::DicomRead;
}

/// [`Scope::DicomWrite`] as a type.
#[derive(Debug)]
pub struct DicomWrite;

impl ScopeName for DicomWrite {
    const SCOPE: Scope = Scope::DicomWrite;
}

/// [`Scope::DicomCorrect`] as a type.
#[derive(Debug)]
pub struct DicomCorrect;

impl ScopeName for DicomCorrect {
    const SCOPE: Scope = Scope::DicomCorrect;
}

/// [`Scope::DicomDelete`] as a type.
#[derive(Debug)]
pub struct DicomDelete;

impl ScopeName for DicomDelete {
    const SCOPE: Scope = Scope::DicomDelete;
}

/// [`Scope::DicomDeleteApprove`] as a type.
#[derive(Debug)]
pub struct DicomDeleteApprove;

impl ScopeName for DicomDeleteApprove {
    const SCOPE: Scope = Scope::DicomDeleteApprove;
}

/// [`Scope::AdminToken`] as a type.
#[derive(Debug)]
pub struct AdminToken;

impl ScopeName for AdminToken {
    const SCOPE: Scope = Scope::AdminToken;
}

/// [`Scope::LifecycleRead`] as a type.
#[derive(Debug)]
pub struct LifecycleRead;

impl ScopeName for LifecycleRead {
    const SCOPE: Scope = Scope::LifecycleRead;
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ScopeSet(u64);

impl ScopeSet {
    /// No scope.
    pub const NONE: Self = Self(0);

    /// Every scope there is.
    pub const ALL: Self = Self((1 << SCOPES.len()) - 1);

    /// Reads the `scope` claim: names between spaces. What is unknown is ignored, not refused (SH-2.4).
    ///
    /// `in_patient_context` tells whether the token names a patient; without one, `patient/` scopes give nothing.
    pub fn parse(claim: &str, in_patient_context: bool) -> Self {
        claim
            .split_ascii_whitespace()
            .filter(|name| in_patient_context || !name.starts_with("patient/"))
            .fold(Self::default(), |set, name| set.union(named(name)))
    }

    /// The set with `scope` added.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | 1 << scope as u64)
    }

    /// Whether `scope` is in the set.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u64) != 0
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any scope of the administrative surface is in the set.
    pub fn is_administrative(self) -> bool {
        !self.intersection(ADMINISTRATIVE).is_empty()
    }

    /// The scopes in the order of [`Scope`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        SCOPES
            .iter()
            .map(|(scope, _)| *scope)
            .filter(move |scope| self.contains(*scope))
    }

    /// The set as the `scope` claim writes it.
    pub fn to_claim(self) -> String {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        names.join(" ")
    }
}

/// What one name of a `scope` claim means.
fn named(name: &str) -> ScopeSet {
    if let Some(scope) = Scope::parse(name) {
        return ScopeSet::default().with(scope);
    }
    let alias = SMART.iter().find(|(alias, _)| *alias == name);
    let meaning: &[Scope] = alias.map_or(&[], |(_, scopes)| scopes);
    meaning
        .iter()
        .fold(ScopeSet::default(), |set, scope| set.with(*scope))
}

/// The bundle of a built-in role; empty for a name that is none, which therefore can only narrow a token.
pub fn role_scopes(role: &str) -> ScopeSet {
    ROLES
        .iter()
        .find(|(name, _)| *name == role)
        .map_or_else(ScopeSet::default, |(_, bundle)| {
            ScopeSet::parse(bundle, false)
        })
}

/// The names of the built-in roles, in alphabetical order.
pub fn role_names() -> impl Iterator<Item = &'static str> {
    ROLES.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claim: &str, in_patient_context: bool, expected: &str) {
        let set = ScopeSet::parse(claim, in_patient_context);
        assert_eq!(set.to_claim(), expected, "{claim}");
    }

    #[test]
    fn the_table_follows_the_enum_and_names_are_unique() {
        for (index, (scope, name)) in SCOPES.iter().enumerate() {
            assert_eq!(*scope as usize, index);
            assert_eq!(Scope::parse(name), Some(*scope));
            assert_eq!(scope.as_str(), *name);
        }
        assert_eq!(ScopeSet::ALL.iter().count(), SCOPES.len());
        assert!(ROLES.is_sorted() && SMART.is_sorted());
    }

    #[test]
    fn sh_2_4_dotted_colon_and_smart_forms_are_read() {
        check(
            "openid dicom.read report.read",
            false,
            "dicom.read report.read",
        );
        check(
            "dose:read dicom:delete:approve",
            false,
            "dicom.delete.approve dose.read",
        );
        check("user/ImagingStudy.rs", false, "dicom.read");
        check("system/ImagingStudy.cruds", false, "dicom.read dicom.write");
        check("user/DiagnosticReport.rs", false, "report.read");
        check("system/DocumentReference.rs", false, "report.read");
        check("patient/ImagingStudy.rs", true, "dicom.read");
    }

    #[test]
    fn sh_2_4_what_is_unknown_is_ignored() {
        check("", false, "");
        check("DICOM.READ dicom.readx dicom. dicom read", false, "");
        check("dicom.read,dicom.write", false, "");
        check("user/ImagingStudy.cruds user/Patient.rs", false, "");
        check("patient/ImagingStudy.rs", false, "");
        check("画像.read", false, "");
    }

    #[test]
    fn sh_2_5_who_changes_rights_reads_no_patients() {
        for role in ["group_admin", "facility_admin", "privacy_officer"] {
            let scopes = role_scopes(role);
            assert!(scopes.is_administrative(), "{role}");
            assert!(!scopes.contains(Scope::DicomRead), "{role}");
            assert!(!scopes.contains(Scope::ReportRead), "{role}");
        }
        assert!(!role_scopes("radiologist").is_administrative());
    }

    #[test]
    fn sh_2_5_bundles() {
        let physician = role_scopes("physician");
        let radiologist = role_scopes("radiologist");
        assert_eq!(radiologist.intersection(physician), physician);
        assert!(radiologist.contains(Scope::DicomWrite) && !physician.contains(Scope::DicomWrite));
        assert_eq!(
            role_scopes("external_reader").to_claim(),
            "dicom.read report.read"
        );
        assert!(role_scopes("Physician").is_empty());
        for (role, bundle) in ROLES {
            let names = bundle.split_ascii_whitespace().count();
            assert_eq!(role_scopes(role).iter().count(), names, "{role}");
        }
    }
}
