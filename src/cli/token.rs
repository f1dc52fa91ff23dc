//! `kura token`: a token signed with the local key, for the embedded default (product.md 4).

use clap::Args;
use serde::Serialize;

use crate::app::App;
use crate::auth::keys::{LOCAL_ISSUER, LOCAL_MAX_LIFE_S};
use crate::auth::scope::{role_names, role_scopes};
use crate::auth::strength::ACR_TWO_FACTORS;
use crate::auth::token::AUDIENCE;
use crate::auth::{LocalKey, ScopeSet};
use crate::error::{Error, Result};
use crate::model::{Clock, FacilityCode};

/// What `kura token` is told.
#[derive(Args, Clone, Debug)]
pub struct TokenArgs {
    /// Code of the facility the token acts for.
    #[arg(long, value_name = "CODE")]
    pub facility: String,
    /// Role of the caller; may be given several times.
    #[arg(long, value_name = "ROLE")]
    pub role: Vec<String>,
    /// Scopes between spaces; without this, all that the roles give.
    #[arg(long, value_name = "SCOPES")]
    pub scope: Option<String>,
    /// Who the caller is.
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
    /// Life of the token: seconds, or with a unit as in 15m or 12h.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub ttl: String,
}

/// What a token is to say.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The facility it acts for.
    pub facility: FacilityCode,
    /// The roles it names; none means that the scopes alone decide.
    pub roles: Vec<String>,
    /// The `scope` claim.
    pub scope: String,
    /// The `sub` claim.
    pub subject: String,
    /// `exp - iat`, in seconds.
    pub life_s: i64,
}

impl TokenArgs {
    /// Checks what was told. Scopes are taken as they are, since unknown ones are ignored everywhere (SH-2.4); an unknown
    /// role would give a token that allows nothing, so it is refused.
    ///
    /// # Errors
    /// `Kind::Invalid` with the reason for whoever typed it.
    pub fn request(self) -> Result<TokenRequest> {
        let facility = FacilityCode::parse(&self.facility).ok_or_else(|| {
            Error::invalid("a facility code is 2 to 16 capital letters and digits")
        })?;
        if let Some(role) = self.role.iter().find(|role| role_scopes(role).is_empty()) {
            return Err(Error::invalid(format!("no role {role}: {}", choice())));
        }
        let scope = match self.scope {
            Some(scope) => scope,
            None if self.role.is_empty() => {
                return Err(Error::invalid(format!(
                    "--role or --scope is missing: {}",
                    choice()
                )));
            }
            None => bundles(&self.role).to_claim(),
        };
        let subject = self.subject.unwrap_or_else(|| {
            let name = self.role.first().map_or("token", String::as_str);
            format!("{name}@{facility}")
        });
        Ok(TokenRequest {
            facility,
            roles: self.role,
            scope,
            subject,
            life_s: life_s(&self.ttl)?,
        })
    }
}

fn choice() -> String {
    let names: Vec<&str> = role_names().collect();
    format!("the roles are {}", names.join(", "))
}

fn bundles(roles: &[String]) -> ScopeSet {
    roles.iter().fold(ScopeSet::default(), |all, role| {
        all.union(role_scopes(role))
    })
}

/// Reads `900`, `900s`, `15m` or `12h`.
fn life_s(text: &str) -> Result<i64> {
    let (digits, unit_s) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) if text.ends_with('h') => (digits, 3600),
        Some(digits) if text.ends_with('m') => (digits, 60),
        Some(digits) => (digits, 1),
        None => (text, 1),
    };
    let count: u32 = digits
        .parse()
        .map_err(|_| Error::invalid("a life is seconds, or a number with m or h: 900, 15m, 12h"))?;
    let life_s = i64::from(count) * unit_s;
    if !(1..=LOCAL_MAX_LIFE_S).contains(&life_s) {
        return Err(Error::invalid(
            "a token of the local key lives between 1 second and 12 hours",
        ));
    }
    Ok(life_s)
}

/// Refuses to sign what the archive of the same configuration would not accept.
pub(super) fn check_local_issuer(app: &App) -> Result<()> {
    if app.config().auth.local_issuer {
        return Ok(());
    }
    let detail = "nobody would accept the token: auth.issuers switches the local issuer off; \
                  auth.local_issuer = true keeps it";
    Err(Error::invalid(detail))
}

/// `kura token`: the token, and nothing else on standard output.
#[expect(
    clippy::print_stdout,
    reason = "the token is the result of the command"
)]
pub(super) async fn run(app: &App, arguments: TokenArgs) -> Result<()> {
    let request = arguments.request()?;
    check_local_issuer(app)?;
    if app
        .archive()
        .index()
        .facility_by_code(&request.facility)
        .await?
        .is_none()
    {
        let detail = format!(
            "no facility {}; `kura facility list` shows them, `kura facility add` makes one",
            request.facility
        );
        return Err(Error::invalid(detail));
    }
    println!("{}", mint(app.key(), app.archive().clock(), &request)?);
    Ok(())
}

/// The payload of SH-2.3. Whoever can sign here has the machine, so the sign-in counts as one of two factors (SH-2.1).
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    acr: &'a str,
    auth_time: i64,
    scope: &'a str,
    kura: KuraClaim<'a>,
}

#[derive(Serialize)]
struct KuraClaim<'a> {
    fac: &'a str,
    roles: &'a [String],
}

/// Signs what `request` asks for, beginning now.
///
/// # Errors
/// `Kind::Invalid` if the life is longer than any verifier accepts.
pub fn mint(key: &LocalKey, clock: &Clock, request: &TokenRequest) -> Result<String> {
    if request.life_s > LOCAL_MAX_LIFE_S {
        return Err(Error::invalid(
            "a token of the local key lives 12 hours at most",
        ));
    }
    let now_s = clock.now().seconds();
    key.sign(&Claims {
        iss: LOCAL_ISSUER,
        aud: AUDIENCE,
        sub: &request.subject,
        iat: now_s,
        nbf: now_s,
        exp: now_s + request.life_s,
        jti: clock.new_id().to_string(),
        acr: ACR_TWO_FACTORS,
        auth_time: now_s,
        scope: &request.scope,
        kura: KuraClaim {
            fac: request.facility.as_str(),
            roles: &request.roles,
        },
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use futures::FutureExt;

    use super::*;
    use crate::auth::{Authenticator, Rejection};
    use crate::model::Timestamp;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TokenArgs,
    }

    fn request(line: &str) -> Result<TokenRequest> {
        let words = std::iter::once("token").chain(line.split('|'));
        Line::try_parse_from(words).unwrap().args.request()
    }

    #[track_caller]
    fn check_life(ttl: &str, expected_s: Option<i64>) {
        let found = request(&format!("--facility|F012|--role|physician|--ttl|{ttl}"));
        assert_eq!(found.ok().map(|r| r.life_s), expected_s, "{ttl}");
    }

    #[test]
    fn a_life_is_seconds_minutes_or_hours_up_to_twelve_hours() {
        check_life("900", Some(900));
        check_life("900s", Some(900));
        check_life("15m", Some(900));
        check_life("12h", Some(43_200));
        check_life("43200", Some(43_200));
        for refused in [
            "43201",
            "13h",
            "721m",
            "0",
            "0h",
            "",
            "h",
            "1d",
            "1.5h",
            "+-1",
            "9999999999h",
        ] {
            check_life(refused, None);
        }
    }

    #[test]
    fn roles_give_their_scopes_unless_scopes_are_named() {
        let of = |line: &str| request(&format!("--facility|F012|{line}")).unwrap();
        assert_eq!(of("--role|external_reader").scope, "dicom.read report.read");
        assert_eq!(of("--role|external_reader").subject, "external_reader@F012");
        assert_eq!(of("--role|external_reader").life_s, 3600);
        let both = of("--role|external_reader|--role|edge");
        assert_eq!(both.scope, "dicom.read dicom.write report.read");
        let narrowed = of("--role|physician|--scope|dicom.read|--subject|hanako");
        assert_eq!(
            (narrowed.scope.as_str(), narrowed.subject.as_str()),
            ("dicom.read", "hanako")
        );
        assert_eq!(of("--scope|dicom.read openid").roles, Vec::<String>::new());
    }

    #[test]
    fn what_would_allow_nothing_is_refused_with_the_roles_there_are() {
        for line in ["--facility|F012", "--facility|F012|--role|doctor"] {
            let refused = request(line).unwrap_err();
            assert!(
                refused.detail().contains("physician"),
                "{}",
                refused.detail()
            );
        }
        assert!(request("--facility|f012|--role|physician").is_err());
    }

    #[test]
    fn a_minted_token_is_accepted_while_it_lives() {
        let folder = tempfile::tempdir().unwrap();
        let key = LocalKey::load_or_create(&folder.path().join("signing.pem")).unwrap();
        let clock = Clock::fixed(Timestamp(1_767_225_600_000_000));
        let authenticator = Authenticator::new(vec![key.issuer()], clock.clone());
        let request = request("--facility|F012|--role|technologist|--ttl|12h").unwrap();
        let token = mint(&key, &clock, &request).unwrap();
        let verify = |token: &str| authenticator.verify(token).now_or_never().unwrap();
        let verified = verify(&token).unwrap();
        assert_eq!(verified.facility().as_str(), "F012");
        assert_eq!(verified.scopes(), role_scopes("technologist"));
        assert_eq!(verified.acr(), Some("urn:kura:acr:2fa"));
        assert_eq!(verified.auth_time_s(), Some(1_767_225_600));
        assert!(verified.token_id().is_some());
        assert_ne!(token, mint(&key, &clock, &request).unwrap());
        clock.advance_s(12 * 3600 + 60);
        assert_eq!(verify(&token).err(), Some(Rejection::Expired));
        let longer = TokenRequest {
            life_s: LOCAL_MAX_LIFE_S + 1,
            ..request
        };
        assert!(mint(&key, &clock, &longer).is_err());
    }
}
