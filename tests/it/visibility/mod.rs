//! Every operation of the OpenAPI document × every kind of caller (sharing.md 2.2, 2.4, 3.4).
//!
//! An operation that has no row in [`ROWS`] fails the test: whoever adds a route says here what it names.

mod callers;
mod made;
mod oracle;
mod rows;

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use self::callers::{Caller, Credential, Forge, Kind};
use self::made::{begun, binned, exported, job_of, key_of, receipted, study};
use self::rows::{Names, ROWS, STRONG};
use crate::harness::{Answer, Server, instance};

/// An operation as the document describes it.
#[derive(Clone, Debug)]
struct Operation {
    id: String,
    method: Method,
    template: String,
    names: Names,
    part: &'static str,
    /// A deletion of the owner.
    deletion: String,
    /// An export of the owner.
    export: String,
    /// The key of the owner's study.
    study: String,
    /// A receipt of the owner.
    receipt: String,
    /// A job of MINT that the owner began.
    job: String,
    /// An upload in steps that the owner began.
    upload: String,
}

/// The root of the UIDs of the owner's study, and of one that never existed.
const THERE: &str = "1.2.826.7.1";
const NOWHERE: &str = "1.2.826.8.2";

/// A deletion that never was.
const NO_DELETION: &str = "019ab0e0-0000-7000-8000-000000000000";

/// What of the owner's study must not be told to anybody else.
const SECRETS: [&str; 6] = ["Yamada", "山田", "ACC1", "P1-secret", THERE, "20240131"];

impl Operation {
    /// Every operation of the running server, each with its row.
    async fn all(server: &Server, forge: &Forge) -> Vec<Self> {
        let deletion = binned(server, forge, &format!("{THERE}.99")).await;
        let export = exported(server, forge).await;
        let study = key_of(server, forge, THERE).await;
        let receipt = receipted(server, forge).await;
        let job = job_of(server, forge).await;
        let upload = begun(server, forge).await;
        let document = server.get("/openapi.json", "").await.json();
        let mut operations = Vec::new();
        for (template, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let id = operation["operationId"].as_str().expect("an operationId");
                let row = ROWS.iter().find(|(known, _, _)| *known == id);
                let (_, names, part) = row.unwrap_or_else(|| {
                    panic!(
                        "{id} has no row: say in ROWS what it names, then every caller asks for it"
                    )
                });
                operations.push(Self {
                    id: id.to_owned(),
                    method: method.to_uppercase().parse().unwrap(),
                    template: template.clone(),
                    names: *names,
                    part,
                    deletion: deletion.clone(),
                    export: export.clone(),
                    study: study.clone(),
                    receipt: receipt.clone(),
                    job: job.clone(),
                    upload: upload.clone(),
                });
            }
        }
        for (id, _, _) in ROWS {
            let found = operations.iter().any(|operation| operation.id == *id);
            assert!(found, "{id} is no operation any more: its row can go");
        }
        operations
    }

    /// The path for the study below `root`.
    fn path(&self, root: &str) -> String {
        let query = match self.id.as_str() {
            "retrieveByUri" => format!("?requestType=WADO&objectUID={root}.1.1.1"),
            _ => String::new(),
        };
        let known = |key: &String| {
            let key = if root == NOWHERE { NO_DELETION } else { key };
            key.to_owned()
        };
        let path = self
            .template
            .replace("{study}", &format!("{root}.1"))
            .replace("{series}", &format!("{root}.1.1"))
            .replace("{instance}", &format!("{root}.1.1.1"))
            .replace("{uuid}", &known(&self.study))
            .replace("{type}", "DICOM")
            .replace("{part}", self.part)
            .replace("{list}", self.part)
            .replace("{form}", self.part)
            .replace("{change}", self.part)
            .replace("{code}", self.part)
            .replace("{id}", &known(&self.deletion))
            .replace("{operation}", &known(&self.export))
            .replace("{receipt}", &known(&self.receipt))
            .replace("{upload}", &known(&self.upload))
            .replace(
                "{job}",
                &if self.part.is_empty() {
                    known(&self.job)
                } else {
                    self.part.to_owned()
                },
            );
        path + &query
    }

    /// The path for a call that succeeds: of what is gone afterwards one that was made for it.
    async fn own_path(&self, server: &Server, forge: &Forge) -> String {
        let root = format!("1.2.826.9.{}", forge.number());
        match self.names {
            Names::Removal => {
                server
                    .stored(&forge.of("F001", callers::ALL), &[study(&root)])
                    .await;
                let key = key_of(server, forge, &root).await;
                let of_it = Self {
                    study: key,
                    ..self.clone()
                };
                of_it.path(&root)
            }
            Names::Deletion => {
                let deletion = binned(server, forge, &root).await;
                self.template.replace("{id}", &deletion)
            }
            Names::ListOfObject if self.id == "giveUpUpload" => {
                let upload = begun(server, forge).await;
                self.template.replace("{upload}", &upload)
            }
            Names::Object
            | Names::ListOfObject
            | Names::Nothing
            | Names::Open
            | Names::Count
            | Names::Store
            | Names::Offer
            | Names::Bin
            | Names::SignIn
            | Names::Session
            | Names::Operation
            | Names::Admin
            | Names::Public => self.path(THERE),
        }
    }

    /// Whether another facility's object is absent to it.
    fn is_of_object(&self) -> bool {
        matches!(
            self.names,
            Names::Object
                | Names::ListOfObject
                | Names::Removal
                | Names::Deletion
                | Names::Operation
        )
    }

    /// Calls `path`, with what there is to say about the study below `root`.
    async fn call(
        &self,
        server: &Server,
        credential: &Credential,
        (path, root): (&str, &str),
    ) -> Answer {
        let request = credential.request(server, self.method.clone(), path);
        let mut request = made::with_body(self, request, root);
        if self.names == Names::Deletion {
            request = request.header("if-match", "\"1\"");
        }
        server.send(request).await
    }
}

/// Headers that may not differ, in the order of their names; `date` and `x-request-id` may.
fn headers(answer: &Answer) -> Vec<(String, String)> {
    let shown = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let mut all: Vec<_> = answer.headers.iter().map(shown).collect();
    all.retain(|(name, _)| name != "date" && name != "x-request-id");
    all.sort();
    all
}

/// Two answers with the same status, headers and bytes; where the status is told before the object is looked at, the id of
/// the request may differ.
fn assert_same(one: &Answer, other: &Answer, what: &str) {
    assert_eq!(one.status, other.status, "{what}");
    assert_eq!(headers(one), headers(other), "{what}");
    if one.status == 404 {
        assert!(
            one.body == other.body,
            "{what}: {} | {}",
            one.text(),
            other.text()
        );
    } else {
        assert_eq!(refusal(one), refusal(other), "{what}");
    }
}

/// An answer that tells nothing of the owner's study.
fn assert_silent(answer: &Answer, what: &str) {
    let told = format!("{:?} {}", headers(answer), answer.text());
    for secret in SECRETS {
        assert!(!told.contains(secret), "{what} tells {secret}: {told}");
    }
}

/// The body without the id of its request.
fn refusal(answer: &Answer) -> Value {
    match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(mut body)) => {
            body.remove("requestId");
            Value::Object(body)
        }
        Ok(_) | Err(_) => Value::String(answer.text()),
    }
}

async fn filled() -> (Server, Forge) {
    let server = Server::start_exporting();
    server.stored(&server.reader("F001"), &[study(THERE)]).await;
    let forge = Forge::new(server.data.path(), "F001");
    (server, forge)
}

/// Sends one row and judges it.
async fn check((server, forge): (&Server, &Forge), operation: &Operation, caller: &Caller) {
    let what = format!("{} by {}", operation.id, caller.name);
    let path = match caller.kind {
        Kind::Own | Kind::Weak => operation.own_path(server, forge).await,
        Kind::Foreign
        | Kind::ForeignWithoutScopes
        | Kind::WithoutScopes
        | Kind::Unknown
        | Kind::Refused => operation.path(THERE),
    };
    let answer = operation
        .call(server, &caller.credential, (&path, THERE))
        .await;
    let status = answer.status;
    match (operation.names, caller.kind) {
        (Names::Session, _) => assert_eq!(status, 401, "{what}"),
        (
            Names::Admin,
            Kind::Own
            | Kind::Weak
            | Kind::Foreign
            | Kind::WithoutScopes
            | Kind::ForeignWithoutScopes,
        ) => {
            assert_eq!(status, 404, "{what}");
            let nowhere = Credential::Bearer("x".to_owned());
            let absent = nowhere.request(server, operation.method.clone(), "/nowhere");
            // Whether the unread body costs the connection depends on when it arrives.
            let absent = server.send(absent).await;
            assert_eq!(
                (absent.status, absent.text()),
                (404, answer.text()),
                "{what}"
            );
        }
        (Names::SignIn, Kind::Foreign | Kind::WithoutScopes | Kind::ForeignWithoutScopes) => {
            assert_eq!(status, 204, "{what}");
        }
        (_, Kind::Weak) if STRONG.contains(&operation.id.as_str()) => {
            assert_eq!(status, 401, "{what}: {}", answer.text());
            let asked = answer.header("www-authenticate");
            assert!(
                asked.contains("insufficient_user_authentication"),
                "{what}: {asked}"
            );
        }
        (Names::Public, _) | (_, Kind::Own | Kind::Weak) => {
            assert!(
                (200..300).contains(&status),
                "{what}: {status} {}",
                answer.text()
            );
        }
        (_, Kind::Unknown) => {
            assert_eq!(status, 401, "{what}");
            assert_eq!(
                answer.header("www-authenticate"),
                "Bearer realm=\"kura\"",
                "{what}"
            );
        }
        (_, Kind::Refused) => {
            assert_eq!(status, 401, "{what}");
            let asked = "Bearer realm=\"kura\", error=\"invalid_token\"";
            assert_eq!(answer.header("www-authenticate"), asked, "{what}");
            let plain = Credential::Bearer("x".to_owned());
            let plain = operation.call(server, &plain, (&path, THERE)).await;
            assert_eq!(
                refusal(&answer),
                refusal(&plain),
                "{what}: says which check failed"
            );
        }
        (
            Names::Object
            | Names::ListOfObject
            | Names::Removal
            | Names::Deletion
            | Names::Operation,
            Kind::Foreign,
        )
        | (
            Names::Object | Names::Removal | Names::Deletion | Names::Operation,
            Kind::ForeignWithoutScopes,
        ) => {
            assert_eq!(status, 404, "{what}: {}", answer.text());
            let absent = operation.path(NOWHERE);
            let absent = operation
                .call(server, &caller.credential, (&absent, NOWHERE))
                .await;
            assert_same(&answer, &absent, &what);
        }
        (Names::Nothing, Kind::Foreign) => {
            assert_eq!((status, answer.body.len()), (204, 0), "{what}");
            let count = answer.header("x-total-count");
            assert!(count.is_empty() || count == "0", "{what}: {count}");
            assert_eq!(answer.header("warning"), "", "{what}");
        }
        (Names::Count, Kind::Foreign) => {
            let none = serde_json::json!({"count": 0});
            assert_eq!((status, answer.json()), (200, none), "{what}");
        }
        (Names::Bin, Kind::Foreign) => {
            assert_eq!(answer.json()["deletions"], serde_json::json!([]), "{what}");
        }
        (Names::Offer, Kind::Foreign) => {
            let uid = format!("{THERE}.1.1.1");
            let expected = json!({"wanted": [uid], "there": [], "conflicting": []});
            assert_eq!((status, answer.json()), (200, expected), "{what}");
        }
        (Names::Store | Names::Open, Kind::Foreign) => {
            assert_eq!(status, 200, "{what}: {}", answer.text());
        }
        (_, Kind::WithoutScopes | Kind::ForeignWithoutScopes) => {
            assert_eq!(status, 403, "{what}: {}", answer.text());
            let asked = "Bearer realm=\"kura\", error=\"insufficient_scope\"";
            assert_eq!(answer.header("www-authenticate"), asked, "{what}");
        }
    }
    let repeats = matches!(operation.names, Names::Store | Names::Offer);
    if !matches!(caller.kind, Kind::Own | Kind::Weak) && !repeats {
        assert_silent(&answer, &what);
    }
}

/// Operations × callers. Stores come last: a foreign one gives its facility a copy of its own.
#[tokio::test]
async fn sh_2_2_1_sh_2_2_2_sh_2_2_3_sh_2_2_5_sh_2_2_6_sh_3_2_a20_a21_a22_every_operation_by_every_caller()
 {
    let (server, forge) = filled().await;
    let mut operations = Operation::all(&server, &forge).await;
    operations.sort_by_key(|operation| operation.names == Names::Store);
    let callers = forge.callers("F001", "F002");
    let mut rows = 0;
    for operation in &operations {
        for caller in &callers {
            check((&server, &forge), operation, caller).await;
            rows += 1;
        }
    }
    println!(
        "operations {} × callers {} = {rows} rows run",
        operations.len(),
        callers.len()
    );
    assert_eq!(rows, operations.len() * callers.len());
    for line in server.log() {
        assert!(
            !line.contains("Yamada") && !line.contains("P1-secret"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn sh_3_4_s11_nothing_around_the_object_tells_not_yours_from_not_there() {
    let (server, forge) = filled().await;
    let foreign = Credential::Bearer(forge.of("F002", callers::ALL));
    let around: &[(&str, &str, &str)] = &[
        ("accept", "image/png", ""),
        ("accept", "text/plain", ""),
        (
            "accept",
            "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.3",
            "",
        ),
        ("range", "bytes=0-9", ""),
        ("if-none-match", "*", ""),
        ("accept-encoding", "gzip", ""),
        ("x-forwarded-host", "elsewhere.example", ""),
        ("x-nothing", "1", "?limit=0"),
        ("x-nothing", "1", "?includefield=all&offset=5"),
        ("x-nothing", "1", "?facility=F001"),
        ("x-nothing", "1", "?nonsense=%FF"),
        ("x-nothing", "1", "/"),
    ];
    let mut compared = 0;
    for operation in Operation::all(&server, &forge).await {
        let is_object = operation.is_of_object();
        for method in [
            Method::GET,
            Method::HEAD,
            Method::OPTIONS,
            Method::DELETE,
            Method::PUT,
        ] {
            for (name, value, suffix) in around.iter().filter(|_| is_object) {
                let ask = async |root| {
                    let path = format!("{}{suffix}", operation.path(root));
                    let request = foreign.request(&server, method.clone(), &path);
                    server.send(request.header(*name, *value)).await
                };
                let (there, nowhere) = (ask(THERE).await, ask(NOWHERE).await);
                let what = format!("{method} {}{suffix} {name}: {value}", operation.id);
                assert_same(&there, &nowhere, &what);
                assert_silent(&there, &what);
                compared += 1;
            }
        }
    }
    println!("{compared} pairs of answers are equal");
    assert!(compared > 500);
}

/// Parts that do not exist: of a visible object they may be named, of another's they may not.
#[tokio::test]
async fn sh_3_4_parts_of_another_facilitys_instance_are_absent_like_the_instance() {
    let (server, forge) = filled().await;
    let (own, foreign) = (
        forge.of("F001", callers::ALL),
        forge.of("F002", callers::ALL),
    );
    for part in [
        "frames/1",
        "frames/2",
        "frames/1,2",
        "frames/0",
        "frames/abc",
        "frames/99999999999",
        "bulkdata/7FE00010",
        "bulkdata/00100010",
        "bulkdata/zz",
        "bulkdata/7FE00010/0/00100010",
        "metadata",
        "rendered",
    ] {
        let path = |root: &str| {
            format!("/studies/{root}.1/series/{root}.1.1/instances/{root}.1.1.1/{part}")
        };
        let there = server.get(&path(THERE), &foreign).await;
        assert_eq!(there.status, 404, "{part}");
        assert_same(&there, &server.get(&path(NOWHERE), &foreign).await, part);
        assert_silent(&there, part);
        let mine = server.get(&path(THERE), &own).await;
        assert!(mine.status < 500, "{part}: {}", mine.text());
    }
}

/// A store under the same UIDs gives the other facility a copy of its own, whatever it holds, and changes nothing here.
#[tokio::test]
async fn sh_3_1_sh_3_7_1_a_foreign_store_of_the_same_uids_stays_apart() {
    let (server, forge) = filled().await;
    let (own, foreign) = (
        forge.of("F001", callers::ALL),
        forge.of("F002", callers::ALL),
    );
    let copy = instance(THERE).text(0x0010_0010, "PN", "Copy^Other").file();
    let kept = server.store(&foreign, &[&copy]).await;
    assert_eq!(kept.status, 200, "no conflict is told: {}", kept.text());
    let path = format!("/studies/{THERE}.1/series/{THERE}.1.1/instances/{THERE}.1.1.1");
    for (token, expected) in [(&own, study(THERE)), (&foreign, copy)] {
        let all = "application/dicom; transfer-syntax=*";
        assert!(server.get_as(&path, token, all).await.body == expected);
        let listed = server.get("/instances", token).await;
        assert_eq!(listed.json().as_array().unwrap().len(), 1);
    }
    let found = server.get("/studies?PatientName=Copy*", &own).await;
    assert_eq!(found.status, 204);
    let nobody = forge.of("F003", callers::ALL);
    assert_eq!(server.get("/studies", &nobody).await.status, 204);
    assert_eq!(server.get(&path, &nobody).await.status, 404);
}

/// SH-3.7 row 15: the token's facility decides, not the person.
#[tokio::test]
async fn sh_3_7_15_a_person_sees_what_the_facility_of_the_token_sees() {
    let (server, forge) = filled().await;
    let mut seen = BTreeMap::new();
    for facility in ["F001", "F002"] {
        let change = serde_json::json!({"sub": "hanako", "kura": {"fac": facility}});
        let token = forge.token(&change);
        let listed = server.get("/studies", &token).await.status;
        let direct = server
            .get(&format!("/studies/{THERE}.1/metadata"), &token)
            .await;
        seen.insert(facility, (listed, direct.status));
    }
    assert_eq!(
        seen,
        BTreeMap::from([("F001", (200, 200)), ("F002", (204, 404))])
    );
}

/// A series that the scopes hide is not to be guessed by what it matches, nor by what it adds to its study.
#[tokio::test]
async fn sh_3_3_sh_3_7_18_a_hidden_series_makes_nothing_match() {
    let (server, forge) = filled().await;
    let report = instance(THERE)
        .uids(
            &format!("{THERE}.1"),
            &format!("{THERE}.1.2"),
            &format!("{THERE}.1.2.1"),
        )
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.88.33")
        .text(0x0008_103E, "LO", "Findings")
        .modality("SR")
        .without(0x7FE0_0010)
        .file();
    let whole = forge.of("F001", callers::ALL);
    server.stored(&whole, &[report]).await;
    let images = forge.of("F001", "dicom.read");
    for query in [
        "ModalitiesInStudy=SR",
        "ModalitiesInStudy=SR,MR",
        "Modality=SR",
        "SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.88.33",
        "NumberOfStudyRelatedSeries=2",
        "NumberOfStudyRelatedInstances=2",
    ] {
        let shown = server.get(&format!("/studies?{query}"), &whole).await;
        assert_eq!(shown.status, 200, "{query}: the control matches");
        let hidden = server.get(&format!("/studies?{query}"), &images).await;
        assert_eq!(hidden.status, 204, "{query}: {}", hidden.text());
    }
    let shown = server.get("/studies?includefield=all", &images).await;
    assert_eq!(shown.json()[0]["00201206"]["Value"][0], 1);
    assert!(
        !shown.text().contains("88.33") && !shown.text().contains("SR"),
        "{}",
        shown.text()
    );
}
