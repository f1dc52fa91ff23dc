//! Listeners for MINT clients that know neither TLS nor tokens, `[[mint.legacy]]` (MINT F05).

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::check::is_listen;
use crate::auth::{Scope, ScopeSet};
use crate::error::{Error, Result};
use crate::http::mint::legacy::Legacy;
use crate::model::FacilityCode;

/// What anybody who reaches such a listener may be allowed. To delete needs a sign-in with two factors (SH-14), and nobody signs
/// in there.
const POSSIBLE: [Scope; 5] = [
    Scope::DicomRead,
    Scope::DicomWrite,
    Scope::DicomCorrect,
    Scope::ReportRead,
    Scope::DoseRead,
];

/// The settings of MINT as they are written.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WrittenMint {
    legacy: Vec<WrittenLegacy>,
}

/// One listener as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLegacy {
    /// Its address, which no other listener has.
    #[serde(default = "loopback")]
    listen: String,
    /// The code of the facility that everybody there acts for.
    facility: String,
    /// The networks that connections may come from, `10.1.0.0/16`, or single addresses.
    #[serde(default = "this_machine")]
    networks: Vec<String>,
    /// What everybody there may do.
    #[serde(default = "reading")]
    scopes: Vec<String>,
    /// Names that clients may call it by, beside its addresses and `localhost`.
    #[serde(default)]
    names: Vec<String>,
}

fn loopback() -> String {
    "127.0.0.1:8082".to_owned()
}

fn this_machine() -> Vec<String> {
    ["127.0.0.0/8", "::1/128"].map(str::to_owned).to_vec()
}

fn reading() -> Vec<String> {
    vec![Scope::DicomRead.as_str().to_owned()]
}

/// A listener and its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyAt {
    /// Host and port.
    pub listen: String,
    /// Whom it serves.
    pub legacy: Legacy,
}

impl WrittenMint {
    /// Checks each listener and that no two have one address.
    pub(super) fn check(self) -> Result<Vec<LegacyAt>> {
        let mut listeners: Vec<LegacyAt> = Vec::new();
        for (index, one) in self.legacy.into_iter().enumerate() {
            let listener = one.check(index)?;
            let is_taken = |other: &LegacyAt| other.listen == listener.listen;
            // Port 0 is another one each time.
            if !listener.listen.ends_with(":0") && listeners.iter().any(is_taken) {
                return Err(wrong(index, "listen", "an address that no other has"));
            }
            listeners.push(listener);
        }
        Ok(listeners)
    }
}

/// The key is named as the file counts: the first listener is `mint.legacy[0]`.
fn wrong(index: usize, key: &str, takes: &str) -> Error {
    Error::invalid(format!(
        "configuration: mint.legacy[{index}].{key} takes {takes}"
    ))
}

impl WrittenLegacy {
    fn check(self, index: usize) -> Result<LegacyAt> {
        if !is_listen(&self.listen) {
            return Err(wrong(index, "listen", "host:port, 127.0.0.1:8082 for one"));
        }
        let facility = FacilityCode::parse(&self.facility)
            .ok_or_else(|| wrong(index, "facility", "the code of a facility"))?;
        let networks: Option<Vec<IpNet>> = self.networks.iter().map(|it| network(it)).collect();
        let networks = networks
            .filter(|networks| !networks.is_empty())
            .ok_or_else(|| {
                let takes = "one or more networks such as 10.1.0.0/16, or addresses";
                wrong(index, "networks", takes)
            })?;
        if self.names.iter().any(|name| !is_name(name)) {
            let takes = "names of this machine, without a port";
            return Err(wrong(index, "names", takes));
        }
        Ok(LegacyAt {
            legacy: Legacy {
                facility,
                networks,
                scopes: scopes(index, &self.scopes)?,
                names: self
                    .names
                    .iter()
                    .map(|it| it.to_ascii_lowercase())
                    .collect(),
            },
            listen: self.listen,
        })
    }
}

/// A network, or the one of a single address.
fn network(text: &str) -> Option<IpNet> {
    let one = || {
        text.parse()
            .ok()
            .map(|address: std::net::IpAddr| address.into())
    };
    text.parse().ok().or_else(one)
}

fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    text.bytes().any(|b| b.is_ascii_alphanumeric()) && text.bytes().all(fits)
}

/// `dicom.read`, without which no client gets past its first request, and what else of [`POSSIBLE`] is wished.
fn scopes(index: usize, names: &[String]) -> Result<ScopeSet> {
    let known = |name: &String| Scope::parse(name).filter(|scope| POSSIBLE.contains(scope));
    let found: Option<Vec<Scope>> = names.iter().map(known).collect();
    let found = found.map(|found| found.into_iter().fold(ScopeSet::NONE, ScopeSet::with));
    found
        .filter(|scopes| scopes.contains(Scope::DicomRead))
        .ok_or_else(|| {
            let others = POSSIBLE.map(Scope::as_str)[1..].join(", ");
            let takes = format!("dicom.read, and perhaps some of {others}");
            wrong(index, "scopes", &takes)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<LegacyAt>> {
        let written: WrittenMint = figment::Figment::new()
            .merge(<figment::providers::Toml as figment::providers::Format>::string(text))
            .extract()
            .map_err(|e| Error::invalid(e.to_string()))?;
        written.check()
    }

    #[test]
    fn mint_f05_what_is_left_out_is_as_narrow_as_it_can_be() {
        assert_eq!(read("").unwrap(), []);
        let found = read("[[legacy]]\nfacility = \"F001\"").unwrap();
        let [LegacyAt { listen, legacy }] = &*found else {
            panic!("{found:?}");
        };
        assert_eq!(listen, "127.0.0.1:8082");
        assert_eq!(legacy.scopes, ScopeSet::NONE.with(Scope::DicomRead));
        assert!(legacy.lets_in("127.0.0.1".parse().unwrap()));
        assert!(legacy.lets_in("::1".parse().unwrap()));
        assert!(!legacy.lets_in("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn mint_f05_each_facility_has_a_listener_of_its_own() {
        let text = r#"
            [[legacy]]
            listen = "0.0.0.0:8083"
            facility = "F001"
            networks = ["10.1.2.3", "192.0.2.0/24"]
            scopes = ["dicom.read", "dicom.write"]
            names = ["Mint.example"]
            [[legacy]]
            listen = "0.0.0.0:8084"
            facility = "F002"
        "#;
        let found = read(text).unwrap();
        let first = &found[0].legacy;
        assert!(first.lets_in("10.1.2.3".parse().unwrap()));
        assert!(!first.lets_in("10.1.2.4".parse().unwrap()));
        assert!(first.scopes.contains(Scope::DicomWrite));
        assert_eq!(first.names, ["mint.example"]);
        assert_eq!(found[1].legacy.facility.as_str(), "F002");
        let refused = read(&text.replace("8084", "8083")).unwrap_err();
        assert!(refused.detail().contains("mint.legacy[1].listen takes"));
    }

    #[test]
    fn mint_f05_each_wrong_value_names_its_key() {
        for (key, value) in [
            ("listen", r#""8082""#),
            ("facility", r#""f001""#),
            ("networks", "[]"),
            ("networks", r#"["10.1.0.0/33"]"#),
            ("networks", r#"["hospital"]"#),
            ("scopes", "[]"),
            ("scopes", r#"["dicom.write"]"#),
            ("scopes", r#"["dicom.read", "dicom.delete"]"#),
            ("scopes", r#"["dicom.read", "admin.token"]"#),
            ("scopes", r#"["dicom.raed"]"#),
            ("names", r#"["a:1"]"#),
            ("names", r#"[""]"#),
        ] {
            let facility = if key == "facility" {
                ""
            } else {
                "facility = \"F001\""
            };
            let refused = read(&format!("[[legacy]]\n{facility}\n{key} = {value}")).unwrap_err();
            let named = format!("mint.legacy[0].{key} takes");
            assert!(refused.detail().contains(&named), "{value}: {refused}");
        }
        assert!(read("[[legacy]]\nfacility = \"F001\"\ntoken = \"x\"").is_err());
        assert!(read("[[legacy]]\nlisten = \"127.0.0.1:1\"").is_err());
    }
}
