//! The issuers of access tokens as an operator writes them, `[[auth.issuers]]` (sharing.md 2.1, 2.2, 2.5).

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};

use crate::auth::fetch::address;
use crate::auth::issuer::algorithms;
use crate::auth::keys::LOCAL_ISSUER;
use crate::auth::token::AUDIENCE;
use crate::auth::{Ceiling, HeaderType, MayActFor, ScopeSet};
use crate::error::{Error, Result};
use crate::model::FacilityCode;

/// The longest life of an access token of an identity provider, in seconds (sharing.md 2.1).
const MAX_LIFE_S: i64 = 900;

/// The `aud` of what the archive itself issues, and of machines: no access token has one of these.
const OTHER_AUDIENCES: &[&str] = &["kura-edge", "kura-share", "kura-nayose", "kura-link"];

/// One issuer as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenIssuer {
    /// The exact `iss` of its tokens, which is the address of its discovery document without `/.well-known/…`.
    issuer: String,
    /// Where its keys are, if that is not to be found by discovery.
    jwks_uri: Option<String>,
    /// The facilities it may speak for: a list of codes, or `"any"`.
    facilities: AnyOr,
    /// `typ` in the header of its access tokens: `at+jwt`, or `JWT` as Keycloak has it.
    #[serde(default = "at_jwt")]
    header_typ: String,
    /// The clients whose tokens are taken (`azp`, `client_id`).
    clients: Vec<String>,
    /// The algorithms its tokens may be signed with.
    algorithms: Option<Vec<String>>,
    /// The longest life of its tokens, in seconds.
    #[serde(default = "longest_life")]
    max_life_s: i64,
    /// The most its tokens can allow: `roles`, `everything`, or scopes between spaces.
    #[serde(default = "roles")]
    ceiling: String,
    /// `aud` of its access tokens.
    #[serde(default = "audience")]
    audience: String,
}

/// `"any"`, or a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum AnyOr {
    Word(String),
    List(Vec<String>),
}

fn at_jwt() -> String {
    "at+jwt".to_owned()
}

fn longest_life() -> i64 {
    MAX_LIFE_S
}

fn roles() -> String {
    "roles".to_owned()
}

fn audience() -> String {
    AUDIENCE.to_owned()
}

/// One issuer, checked.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// The exact `iss`.
    pub issuer: String,
    /// Where its keys are, if not to be found by discovery.
    pub jwks_uri: Option<String>,
    /// The facilities it may speak for.
    pub facilities: MayActFor,
    /// How its access tokens are marked.
    pub header_type: HeaderType,
    /// Its registered clients.
    pub clients: Vec<String>,
    /// The algorithms its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// The longest life of its tokens, in seconds.
    pub max_life_s: i64,
    /// The most its tokens can allow.
    pub ceiling: Ceiling,
    /// `aud` of its access tokens.
    pub audience: String,
}

/// Checks each issuer and that no two have one name.
pub(super) fn check(written: Vec<WrittenIssuer>) -> Result<Vec<IssuerConfig>> {
    let mut issuers: Vec<IssuerConfig> = Vec::new();
    for (index, one) in written.into_iter().enumerate() {
        let issuer = one.check(index)?;
        if issuers.iter().any(|other| other.issuer == issuer.issuer) {
            return Err(wrong(index, "issuer", "a name that no other issuer has"));
        }
        issuers.push(issuer);
    }
    Ok(issuers)
}

/// The key is named as the file counts: the first issuer is `auth.issuers[0]`.
fn wrong(index: usize, key: &str, takes: &str) -> Error {
    Error::invalid(format!(
        "configuration: auth.issuers[{index}].{key} takes {takes}"
    ))
}

impl WrittenIssuer {
    fn check(self, index: usize) -> Result<IssuerConfig> {
        let at = "an https address, or an http one on this machine";
        if self.issuer == LOCAL_ISSUER || address(&self.issuer).is_none() {
            return Err(wrong(index, "issuer", at));
        }
        if self
            .jwks_uri
            .as_ref()
            .is_some_and(|uri| address(uri).is_none())
        {
            return Err(wrong(index, "jwks_uri", at));
        }
        if !(60..=MAX_LIFE_S).contains(&self.max_life_s) {
            let takes = format!("60 to {MAX_LIFE_S} seconds");
            return Err(wrong(index, "max_life_s", &takes));
        }
        if self.audience.is_empty() || OTHER_AUDIENCES.contains(&&*self.audience) {
            let takes = "the aud of access tokens, which is none of kura-edge, kura-share, kura-nayose and kura-link";
            return Err(wrong(index, "audience", takes));
        }
        // The aud of an ID token is its client: with this name it would pass for an access token (sharing.md 2.1).
        let is_name = |client: &String| !client.is_empty() && *client != self.audience;
        if self.clients.is_empty() || !self.clients.iter().all(is_name) {
            let takes = "the names of one or more clients, none of them that of the audience";
            return Err(wrong(index, "clients", takes));
        }
        Ok(IssuerConfig {
            facilities: self.facilities.check(index)?,
            header_type: match &*self.header_typ {
                "at+jwt" => HeaderType::AtJwt,
                "JWT" => HeaderType::Jwt,
                _ => return Err(wrong(index, "header_typ", "at+jwt or JWT")),
            },
            algorithms: chosen(index, self.algorithms.as_deref())?,
            ceiling: ceiling(index, &self.ceiling)?,
            issuer: self.issuer,
            jwks_uri: self.jwks_uri,
            clients: self.clients,
            max_life_s: self.max_life_s,
            audience: self.audience,
        })
    }
}

impl AnyOr {
    fn check(self, index: usize) -> Result<MayActFor> {
        let takes = "\"any\", or the codes of one or more facilities";
        let codes = match self {
            Self::Word(word) if word == "any" => return Ok(MayActFor::Any),
            Self::Word(_) => None,
            Self::List(codes) => codes
                .iter()
                .map(|code| FacilityCode::parse(code))
                .collect::<Option<Vec<_>>>(),
        };
        match codes {
            Some(codes) if !codes.is_empty() => Ok(MayActFor::Only(codes)),
            Some(_) | None => Err(wrong(index, "facilities", takes)),
        }
    }
}

fn chosen(index: usize, names: Option<&[String]>) -> Result<Vec<Algorithm>> {
    let Some(names) = names else {
        return Ok(algorithms().map(|(_, algorithm)| algorithm).collect());
    };
    let known = |name: &String| algorithms().find(|(known, _)| known == name);
    let found: Option<Vec<Algorithm>> = names
        .iter()
        .map(|name| known(name).map(|(_, algorithm)| algorithm))
        .collect();
    found.filter(|found| !found.is_empty()).ok_or_else(|| {
        let all: Vec<&str> = algorithms().map(|(name, _)| name).collect();
        let takes = format!("one or more of {}", all.join(", "));
        wrong(index, "algorithms", &takes)
    })
}

fn ceiling(index: usize, text: &str) -> Result<Ceiling> {
    match text {
        "roles" => return Ok(Ceiling::Roles),
        "everything" => return Ok(Ceiling::Everything),
        _ => {}
    }
    let words = text.split_ascii_whitespace();
    // A name that is ignored in a token is a mistake in a file.
    let each_is_known = words
        .clone()
        .all(|word| !ScopeSet::parse(word, true).is_empty());
    if words.count() == 0 || !each_is_known {
        let takes = "roles, everything, or names of scopes between spaces";
        return Err(wrong(index, "ceiling", takes));
    }
    Ok(Ceiling::Only(ScopeSet::parse(text, true)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Scope;

    const GOOD: &str = r#"
        issuer = "https://idp.example.org/realms/group"
        facilities = ["F012", "F020"]
        clients = ["viewer-web"]
    "#;

    fn read(text: &str) -> Result<IssuerConfig> {
        let written: WrittenIssuer = figment::Figment::new()
            .merge(<figment::providers::Toml as figment::providers::Format>::string(text))
            .extract()
            .map_err(|e| Error::invalid(e.to_string()))?;
        written.check(0)
    }

    #[test]
    fn what_is_left_out_is_as_narrow_as_it_can_be() {
        let issuer = read(GOOD).unwrap();
        assert_eq!(issuer.ceiling, Ceiling::Roles);
        assert_eq!(issuer.header_type, HeaderType::AtJwt);
        assert_eq!((issuer.max_life_s, &*issuer.audience), (900, "kura"));
        assert_eq!(issuer.algorithms.len(), 4);
        let [f012, f020] = ["F012", "F020"].map(|code| FacilityCode::parse(code).unwrap());
        assert_eq!(issuer.facilities, MayActFor::Only(vec![f012, f020]));
    }

    #[test]
    fn every_key_is_read() {
        let text = GOOD.replace(r#"["F012", "F020"]"#, "\"any\"")
            + r#"
            jwks_uri = "https://keys.example.org/jwks"
            header_typ = "JWT"
            algorithms = ["RS256"]
            max_life_s = 300
            ceiling = "dicom.read dose:read"
            audience = "archive"
        "#;
        let issuer = read(&text).unwrap();
        assert_eq!(issuer.facilities, MayActFor::Any);
        assert_eq!(issuer.header_type, HeaderType::Jwt);
        assert_eq!(issuer.algorithms, [Algorithm::RS256]);
        let scopes = ScopeSet::default()
            .with(Scope::DicomRead)
            .with(Scope::DoseRead);
        assert_eq!(issuer.ceiling, Ceiling::Only(scopes));
        assert_eq!((issuer.max_life_s, &*issuer.audience), (300, "archive"));
        assert_eq!(
            issuer.jwks_uri.as_deref(),
            Some("https://keys.example.org/jwks")
        );
    }

    #[test]
    fn sh_2_2_2_sh_2_2_8_each_wrong_value_names_its_key() {
        for (key, value) in [
            ("issuer", r#""http://idp.example.org""#),
            ("issuer", r#""kura:local""#),
            ("jwks_uri", r#""http://idp.example.org/jwks""#),
            ("facilities", r#""all""#),
            ("facilities", "[]"),
            ("facilities", r#"["f012"]"#),
            ("clients", "[]"),
            ("clients", r#"["kura"]"#),
            ("header_typ", r#""jwt""#),
            ("algorithms", "[]"),
            ("algorithms", r#"["none"]"#),
            ("algorithms", r#"["HS256"]"#),
            ("algorithms", r#"["RS256", "ES512"]"#),
            ("max_life_s", "901"),
            ("max_life_s", "0"),
            ("ceiling", r#""""#),
            ("ceiling", r#""dicom.read dicom.wirte""#),
            ("audience", r#""kura-share""#),
        ] {
            let kept = GOOD.lines().filter(|line| !line.trim().starts_with(key));
            let text = format!("{}\n{key} = {value}", kept.collect::<Vec<_>>().join("\n"));
            let refused = read(&text).unwrap_err();
            let named = format!("auth.issuers[0].{key} takes");
            assert!(refused.detail().contains(&named), "{text}: {refused}");
        }
        assert!(read(&format!("{GOOD}\nsecret = \"x\"")).is_err());
        assert!(read(&GOOD.replace("facilities", "facility")).is_err());
    }
}
