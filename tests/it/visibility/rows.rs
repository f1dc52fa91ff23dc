//! What each operation names: whoever adds a route says it here.

/// What an operation names, which decides between 403 and 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// An object: 404 unless it is visible, then 403 without the scope.
    Object,
    /// A list under an object: 403 without the scope, 404 where the object is not visible.
    ListOfObject,
    /// Nothing: a search.
    Nothing,
    /// Nothing, and the answer is there for everybody with the scope, whatever is in it.
    Open,
    /// Nothing: a count.
    Count,
    /// A store.
    Store,
    /// What a store would do: the objects of others are none.
    Offer,
    /// An object that is gone afterwards.
    Removal,
    /// The deletions of a facility: 403 without a scope.
    Bin,
    /// One of them: 404 to other facilities, 403 without the scope.
    Deletion,
    /// Work that a caller asked for: 404 to other facilities, 403 without the scope.
    Operation,
    /// Nothing, and it is for everybody.
    Public,
    /// Nothing: whoever has an access token may.
    SignIn,
    /// A session, which no token is.
    Session,
    /// Nothing, on the administrative surface: 404 for everybody else (SH-2.5).
    Admin,
}

/// Operation, what it names, and what `{part}` stands for.
pub(super) const ROWS: &[(&str, Names, &str)] = &[
    ("approveDeletion", Names::Deletion, ""),
    ("beginUpload", Names::Store, ""),
    ("capabilities", Names::Public, ""),
    ("capabilitiesByOptions", Names::Public, ""),
    ("countInstances", Names::Count, ""),
    ("countInstancesOfSeries", Names::ListOfObject, ""),
    ("countInstancesOfStudy", Names::ListOfObject, ""),
    ("countSeries", Names::Count, ""),
    ("countSeriesOfStudy", Names::ListOfObject, ""),
    ("countStudies", Names::Count, ""),
    ("createExport", Names::Object, ""),
    ("createMintStudy", Names::Store, ""),
    ("createLink", Names::ListOfObject, ""),
    ("createSession", Names::SignIn, ""),
    ("deleteMintStudy", Names::Removal, ""),
    ("deleteInstance", Names::Removal, ""),
    ("deleteSeries", Names::Removal, ""),
    ("deleteSession", Names::Session, ""),
    ("deleteStudy", Names::Removal, ""),
    ("giveUpUpload", Names::ListOfObject, ""),
    ("goOnWithUpload", Names::ListOfObject, ""),
    ("listDeletions", Names::Bin, ""),
    ("listJobs", Names::Admin, ""),
    ("listMintChanges", Names::Open, ""),
    ("listMintChangesOfStudy", Names::Object, ""),
    ("listMintTypes", Names::Open, ""),
    ("live", Names::Public, ""),
    ("metrics", Names::Admin, ""),
    ("offerExact", Names::Offer, ""),
    ("ready", Names::Public, ""),
    ("rejectInstance", Names::Removal, "113001%5EDCM"),
    ("rejectSeries", Names::Removal, "113001%5EDCM"),
    ("rejectStudy", Names::Removal, "113001%5EDCM"),
    ("restartJob", Names::Admin, NO_JOB),
    ("restoreDeletion", Names::Deletion, ""),
    ("retrieveBulkData", Names::Object, "7FE00010"),
    ("retrieveBulkDataOfInstance", Names::Object, ""),
    ("retrieveBulkDataOfSeries", Names::Object, ""),
    ("retrieveBulkDataOfStudy", Names::Object, ""),
    ("retrievePixelDataOfInstance", Names::Object, ""),
    ("retrievePixelDataOfSeries", Names::Object, ""),
    ("retrievePixelDataOfStudy", Names::Object, ""),
    ("retrieveByUri", Names::Object, ""),
    ("retrieveExact", Names::Object, ""),
    ("retrieveExactNamed", Names::Object, ""),
    ("retrieveFrames", Names::Object, "1"),
    ("retrieveInstance", Names::Object, ""),
    ("retrieveMintBundle", Names::Object, ""),
    ("retrieveMintChange", Names::Object, "0"),
    ("retrieveMintItems", Names::Object, "all"),
    ("retrieveMintMetadata", Names::Object, ""),
    ("retrieveMintMetadataAs", Names::Object, "gpb.gz"),
    ("retrieveMintSummary", Names::Object, ""),
    ("retrieveMintSummaryAs", Names::Object, "xml"),
    ("retrieveInstanceMetadata", Names::Object, ""),
    ("retrieveFrameThumbnail", Names::Object, "1"),
    ("retrieveInstanceThumbnail", Names::Object, ""),
    ("retrieveRenderedFrames", Names::Object, "1"),
    ("retrieveRenderedInstance", Names::Object, ""),
    ("retrieveRenderedSeries", Names::Object, ""),
    ("retrieveRenderedStudy", Names::Object, ""),
    ("retrieveSeriesThumbnail", Names::Object, ""),
    ("retrieveStudyThumbnail", Names::Object, ""),
    ("retrieveSeries", Names::Object, ""),
    ("retrieveSeriesMetadata", Names::Object, ""),
    ("retrieveStudy", Names::Object, ""),
    ("retrieveStudyMetadata", Names::Object, ""),
    ("revoke", Names::Admin, ""),
    ("searchMintStudies", Names::Open, ""),
    ("searchInstances", Names::Nothing, ""),
    ("searchInstancesOfSeries", Names::ListOfObject, ""),
    ("searchInstancesOfStudy", Names::ListOfObject, ""),
    ("searchPatients", Names::Nothing, ""),
    ("searchSeries", Names::Nothing, ""),
    ("searchSeriesOfStudy", Names::ListOfObject, ""),
    ("searchStudies", Names::Nothing, ""),
    ("sendExact", Names::Store, ""),
    ("showDeletion", Names::Deletion, ""),
    ("showMintStudy", Names::Object, ""),
    ("showMintJob", Names::Operation, ""),
    ("showMintType", Names::Open, ""),
    ("showJob", Names::Admin, NO_JOB),
    ("showOperation", Names::Operation, ""),
    ("showReceipt", Names::Operation, ""),
    ("showUpload", Names::ListOfObject, ""),
    ("storeInstances", Names::Store, ""),
    ("storeInstancesOfStudy", Names::Store, ""),
    ("updateMintStudy", Names::ListOfObject, ""),
];

/// What wants a fresh sign-in with two factors (SH-14).
pub(super) const STRONG: [&str; 6] = [
    "approveDeletion",
    "deleteInstance",
    "deleteMintStudy",
    "deleteSeries",
    "deleteStudy",
    "restoreDeletion",
];

/// A job that never was.
const NO_JOB: &str = "01900000-0000-7000-8000-000000000001";
