//! The shared test corpus, where it is present: `KURA_TEST_CORPUS`, else `../shared/data/dicom` beside the repository.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{Answer, Server, server};

/// One line of the corpus's manifest.
#[derive(Clone, Debug)]
pub struct Entry {
    pub file: String,
    pub group: String,
    pub expect: String,
    pub path: PathBuf,
    pub oracle: PathBuf,
    fields: HashMap<String, String>,
}

impl Entry {
    /// A column of the manifest, empty where nothing is known.
    pub fn field(&self, name: &str) -> &str {
        &self.fields[name]
    }

    /// A column of numbers.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.field(name).parse().ok()
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }

    /// The text of what the independent tools say about the file.
    pub fn oracle_text(&self) -> String {
        let bytes = std::fs::read(&self.oracle).unwrap();
        if self.oracle.extension().is_none_or(|end| end != "gz") {
            return String::from_utf8(bytes).unwrap();
        }
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .unwrap();
        text
    }
}

/// The folder of the corpus; `None`, and a line that says so, where it is absent.
pub fn root() -> Option<PathBuf> {
    let given = std::env::var_os("KURA_TEST_CORPUS").map(PathBuf::from);
    let root = given
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/dicom"));
    if root.join("manifest.csv").is_file() {
        return Some(root);
    }
    println!("no corpus: set KURA_TEST_CORPUS to run this test");
    None
}

/// The manifest.
pub fn manifest() -> Option<Vec<Entry>> {
    let root = root()?;
    let text = std::fs::read_to_string(root.join("manifest.csv")).unwrap();
    let mut lines = records(&text).into_iter();
    let names = lines.next().unwrap();
    let entries = lines.map(|line| {
        let fields: HashMap<&str, &str> = names
            .iter()
            .map(String::as_str)
            .zip(line.iter().map(String::as_str))
            .collect();
        Entry {
            file: fields["file"].to_owned(),
            group: fields["group"].to_owned(),
            expect: fields["expect"].to_owned(),
            path: root.join(fields["file"]),
            oracle: root.join(fields["oracle"]),
            fields: fields
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        }
    });
    Some(entries.collect())
}

/// CSV with quoted fields (RFC 4180).
fn records(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let (mut record, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            '\r' if !quoted => {}
            c => field.push(c),
        }
    }
    records
}

/// SHA-256 in hexadecimal digits, as the oracles write it.
pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// Well-formed files without a UID that a store needs: T24 refuses them. Anything else that is refused is a defect.
pub const WITHOUT_UIDS: [&str; 19] = [
    "charset/pydicom__chrSQEncoding1.dcm",
    "document/dcm4che__DICOMDIR.dcm",
    "modality/fodicom__multiframe.dcm",
    "modality/nibabel__decimal_rescale.dcm",
    "modality/pydicom__fall.dcm",
    "modality/pydicom__pet.dcm",
    "modality/pydicom__pet20step.dcm",
    "modality/pydicom__priv_SQ.dcm",
    "modality/pydicom__summer.dcm",
    "study/pydicom__DICOMDIR.dcm",
    "ts/pydata__HTJ2KLossless_08_RGB.dcm",
    "ts/pydata__HTJ2K_08_RGB.dcm",
    "ts/pydata__JLSL_08_07_0_1F.dcm",
    "ts/pydata__JLSL_16_15_1_1F.dcm",
    "ts/pydata__JLSL_RGB_ILV2.dcm",
    "ts/pydata__JLSN_RGB_ILV0.dcm",
    "ts/pydicom__JPEGLSNearLossless_08.dcm",
    "ts/pydicom__JPEGLSNearLossless_16.dcm",
    "ts/pydicom__SC_rgb_jls_lossy_line.dcm",
];

/// A file of the corpus that is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its path from `/dicomweb` on.
    pub path: String,
    /// A token of the facility that has it.
    pub token: String,
}

/// The corpus over many facilities: 14 SOP Instance UIDs are carried by 55 different files, and each further one goes to a
/// facility that has none yet.
pub struct Spread {
    tokens: Vec<String>,
    owners: HashMap<String, usize>,
    /// Files that met another one under their UID on the way (T22).
    pub conflicts: usize,
}

impl Spread {
    /// Thirteen facilities: the three that every server of the tests has, and ten more.
    pub fn over(server: &Server) -> Self {
        let mut tokens: Vec<_> = ["F001", "F002", "F003"]
            .map(|code| server.reader(code))
            .into();
        for number in 4..=13 {
            let code = format!("F{number:03}");
            server::kura(
                server.data.path(),
                &["facility", "add", &code, "--name", &code],
            );
            tokens.push(server.reader(&code));
        }
        Self {
            tokens,
            owners: HashMap::new(),
            conflicts: 0,
        }
    }

    /// Stores a file where its UID is free; the answer says whether it was taken. With it the token of the facility.
    pub async fn send(&mut self, server: &Server, file: &[u8]) -> (Answer, String) {
        let first = server.store(&self.tokens[0], &[file]).await;
        let failed = &first.json()["00081198"]["Value"][0];
        if failed["00081197"]["Value"][0] != 0x0111 {
            return (first, self.tokens[0].clone());
        }
        self.conflicts += 1;
        let uid = failed["00081155"]["Value"][0].as_str().unwrap().to_owned();
        let owner = *self
            .owners
            .entry(uid)
            .and_modify(|at| *at += 1)
            .or_insert(1);
        let token = self.tokens[owner].clone();
        (server.store(&token, &[file]).await, token)
    }

    /// Stores a well-formed file; `None` for those without UIDs, which must be refused as T24 says.
    pub async fn store(&mut self, server: &Server, entry: &Entry) -> Option<Stored> {
        let (answer, token) = self.send(server, &entry.bytes()).await;
        let json = answer.json();
        if WITHOUT_UIDS.contains(&entry.file.as_str()) {
            assert_eq!(answer.status, 409, "{}", entry.file);
            let refused = ["00081198", "0008119A"]
                .map(|tag| json[tag]["Value"][0]["00081197"]["Value"][0].clone());
            assert!(refused.contains(&0xC000.into()), "{}: {json}", entry.file);
            return None;
        }
        let url = json["00081199"]["Value"][0]["00081190"]["Value"][0].as_str();
        let url = url.unwrap_or_else(|| panic!("{} is not stored: {json}", entry.file));
        let path = url.strip_prefix(&server.base).unwrap().to_owned();
        Some(Stored { path, token })
    }
}
