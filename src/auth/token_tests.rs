//! Every step of SH-2.2 with what it accepts and the neighbor it refuses.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures::FutureExt;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Kind;
use crate::model::{Clock, FacilityCode, Timestamp};

/// The instant of the example in SH-2.3.
const NOW_S: i64 = 1_767_225_600;

const GROUP: &str = "https://idp.example.org/realms/group";

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// The local issuer, and an external one with an Ed25519 and an RSA key that speaks for F012 and F020.
struct World {
    local: EncodingKey,
    local_kid: String,
    local_public: Vec<u8>,
    rsa: EncodingKey,
    rsa_public: Vec<u8>,
    authenticator: Authenticator,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("local.pem");
        let local = LocalKey::load_or_create(&path).unwrap();
        let public = serde_json::to_value(local.jwks()).unwrap()["keys"][0].clone();
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let rsa = rsa_encoding_key(&pair);
        let other = LocalKey::load_or_create(&folder.path().join("other.pem")).unwrap();
        let mut keys = other.jwks().keys;
        keys.push(Jwk::from_encoding_key(&rsa, Algorithm::RS256).unwrap());
        keys[1].common.key_id = Some("rsa".to_owned());
        let group = Issuer {
            name: GROUP.to_owned(),
            keys: Keys::Fixed(KeySet::from_jwks(&JwkSet { keys })),
            algorithms: vec![Algorithm::RS256, Algorithm::PS256, Algorithm::EdDSA],
            audience: "kura".to_owned(),
            facilities: MayActFor::Only(vec![code("F012"), code("F020")]),
            header_type: HeaderType::Jwt,
            max_life_s: 900,
            ceiling: Ceiling::Roles,
            clients: vec!["viewer-web".to_owned()],
        };
        let clock = Clock::fixed(Timestamp(NOW_S * 1_000_000));
        Self {
            local: EncodingKey::from_ed_pem(&std::fs::read(&path).unwrap()).unwrap(),
            local_kid: public["kid"].as_str().unwrap().to_owned(),
            local_public: URL_SAFE_NO_PAD
                .decode(public["x"].as_str().unwrap())
                .unwrap(),
            rsa,
            rsa_public: pair.public_key().as_ref().to_vec(),
            authenticator: Authenticator::new(vec![local.issuer(), group], clock),
        }
    }
}

fn rsa_encoding_key(pair: &KeyPair) -> EncodingKey {
    let der = STANDARD.encode(pair.as_der().unwrap().as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
    EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
}

fn code(text: &str) -> FacilityCode {
    FacilityCode::parse(text).unwrap()
}

fn header() -> Value {
    json!({"alg": "EdDSA", "kid": WORLD.local_kid, "typ": "at+jwt"})
}

fn claims() -> Value {
    json!({
        "iss": "kura:local", "aud": "kura", "sub": "hanako",
        "iat": NOW_S, "nbf": NOW_S, "exp": NOW_S + 3600, "jti": "b9d0",
        "scope": "openid dicom.read dicom.write report.read",
        "kura": {"fac": "F012", "roles": ["physician"], "pou": "TREAT", "patient": null}
    })
}

fn group_claims() -> Value {
    json!({
        "iss": GROUP, "aud": ["account", "kura"], "azp": "viewer-web", "typ": "Bearer",
        "sub": "8a6d", "iat": NOW_S, "exp": NOW_S + 600, "scope": "dicom.read dicom.write",
        "kura_fac": "F012", "kura_roles": ["physician"]
    })
}

/// `base` with the fields of `changes`; the string "-" takes one away.
fn with(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value == "-" {
            base.as_object_mut().unwrap().remove(name);
        } else {
            base[name] = value.clone();
        }
    }
    base
}

fn signed(key: &EncodingKey, algorithm: Algorithm, header: &str, claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// A token of the local issuer, with these changes.
fn local(header_changes: &Value, claim_changes: &Value) -> String {
    let header = with(header(), header_changes).to_string();
    let claims = with(claims(), claim_changes).to_string();
    signed(&WORLD.local, Algorithm::EdDSA, &header, &claims)
}

/// A token of the external issuer, with these changes.
fn group(header_changes: &Value, claim_changes: &Value) -> String {
    let header = with(
        json!({"alg": "RS256", "kid": "rsa", "typ": "JWT"}),
        header_changes,
    );
    let claims = with(group_claims(), claim_changes);
    signed(
        &WORLD.rsa,
        Algorithm::RS256,
        &header.to_string(),
        &claims.to_string(),
    )
}

const OK: Result<(), Rejection> = Ok(());

/// Fixed keys wait for nothing.
fn verify(token: &str) -> Result<Verified, Rejection> {
    let answer = WORLD.authenticator.verify(token);
    answer.now_or_never().unwrap()
}

#[track_caller]
fn check(token: &str, expected: Result<(), Rejection>) {
    let found = verify(token).map(|_| ());
    assert_eq!(found, expected, "{token}");
}

#[track_caller]
fn check_header(changes: &Value, expected: Result<(), Rejection>) {
    check(&local(changes, &json!({})), expected);
}

#[track_caller]
fn check_claims(changes: &Value, expected: Result<(), Rejection>) {
    check(&local(&json!({}), changes), expected);
}

#[test]
fn a_token_of_either_issuer_is_accepted_and_says_what_it_says() {
    let verified = verify(&local(&json!({}), &json!({}))).unwrap();
    assert_eq!(verified.issuer(), "kura:local");
    assert_eq!(verified.subject(), "hanako");
    assert_eq!(verified.facility(), &code("F012"));
    assert_eq!(verified.scopes().to_claim(), "dicom.read report.read");
    assert_eq!(verified.roles().collect::<Vec<_>>(), ["physician"]);
    assert_eq!(verified.purpose(), Purpose::Treatment);
    assert_eq!(
        (verified.patient(), verified.token_id()),
        (None, Some("b9d0"))
    );
    let verified = verify(&group(&json!({}), &json!({}))).unwrap();
    assert_eq!(verified.scopes().to_claim(), "dicom.read");
}

#[test]
fn sh_2_2_step_1_size_and_segments() {
    let token = local(&json!({}), &json!({}));
    let (message, signature) = token.rsplit_once('.').unwrap();
    check(&format!("{token}.{signature}"), Err(Rejection::Segments));
    check(message, Err(Rejection::Segments));
    check("", Err(Rejection::Segments));
    check("..", Err(Rejection::Header));
    check(&format!(" {token}"), Err(Rejection::Header));
    check(&format!("{token}="), Err(Rejection::Signature));
    check(&format!("{token}\n"), Err(Rejection::Signature));
    check(&format!("{message}."), Err(Rejection::Signature));
    // Base64url of three bytes more adds four characters.
    let padded = |len: usize| local(&json!({}), &json!({"name": "x".repeat(len)}));
    let room = (8192 - padded(0).len()) / 4 * 3;
    assert!((8189..=8192).contains(&padded(room).len()));
    check(&padded(room), OK);
    check(&padded(room + 3), Err(Rejection::TooLong));
}

#[test]
fn sh_2_2_step_1_the_header_brings_no_key() {
    for (name, value) in [
        ("jku", json!("https://attacker.example/jwks")),
        ("jku", Value::Null),
        ("jwk", json!({"kty": "OKP"})),
        ("x5u", json!("https://attacker.example/x5u")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
    ] {
        check_header(&json!({ name: value }), Err(Rejection::OwnKey));
    }
    check_header(&json!({"x5t": "unused"}), OK);
    check_header(&json!({"alg": "-"}), Err(Rejection::Header));
    check_header(&json!({"alg": 7}), Err(Rejection::Header));
    check_header(&json!({"kid": ["a"]}), Err(Rejection::Header));
    let twice = format!(r#"{{"alg":"none",{}"#, &header().to_string()[1..]);
    let twice = signed(
        &WORLD.local,
        Algorithm::EdDSA,
        &twice,
        &claims().to_string(),
    );
    check(&twice, Err(Rejection::Header));
    let listed = json!(["EdDSA", WORLD.local_kid, "at+jwt"]).to_string();
    let listed = signed(
        &WORLD.local,
        Algorithm::EdDSA,
        &listed,
        &claims().to_string(),
    );
    check(&listed, Err(Rejection::Header));
}

#[test]
fn sh_2_2_step_2_no_algorithm_but_those_on_the_list() {
    for name in [
        "none", "None", "NONE", "", "HS256", "HS512", "ES384", "RS512", "eddsa",
    ] {
        check_header(&json!({ "alg": name }), Err(Rejection::Algorithm));
    }
    let unsigned = local(&json!({"alg": "none"}), &json!({}));
    let (message, _) = unsigned.rsplit_once('.').unwrap();
    check(&format!("{message}."), Err(Rejection::Algorithm));
}

#[test]
fn a1_hmac_with_the_public_key_is_refused() {
    let secrets = [&WORLD.local_public, &WORLD.rsa_public];
    for secret in secrets.map(|bytes| EncodingKey::from_secret(bytes)) {
        let claims = claims().to_string();
        // As HS256, and the same bytes under the algorithm of the key.
        for (name, reason) in [
            ("HS256", Rejection::Algorithm),
            ("EdDSA", Rejection::Signature),
        ] {
            let header = with(header(), &json!({ "alg": name })).to_string();
            let token = signed(&secret, Algorithm::HS256, &header, &claims);
            check(&token, Err(reason));
        }
    }
}

#[test]
fn sh_2_2_step_3_the_issuer_is_one_of_ours_to_the_letter() {
    for name in ["kura:other", "KURA:local", "kura:local/", " kura:local", ""] {
        check_claims(&json!({ "iss": name }), Err(Rejection::Issuer));
    }
    check_claims(&json!({"iss": "-"}), Err(Rejection::Claims));
    check_claims(&json!({"iss": ["kura:local"]}), Err(Rejection::Claims));
    // The name of one issuer with the key of another.
    check_claims(&json!({ "iss": GROUP }), Err(Rejection::Key));
}

#[test]
fn sh_2_2_step_4_the_key_is_the_issuers_and_decides_the_algorithm() {
    check_header(&json!({"kid": "-"}), OK);
    for kid in ["", "rsa", "../../etc/passwd", "' OR 1=1 --", "鍵"] {
        check_header(&json!({ "kid": kid }), Err(Rejection::Key));
    }
    check(
        &group(&json!({"kid": "-"}), &json!({})),
        Err(Rejection::Key),
    );
    check_header(&json!({"alg": "RS256"}), Err(Rejection::Key));
    check_header(&json!({"alg": "ES256"}), Err(Rejection::Key));
    // The published key says RS256, so PS256 is another key's.
    check(
        &group(&json!({"alg": "PS256"}), &json!({})),
        Err(Rejection::Key),
    );
}

#[test]
fn sh_2_1_a_token_of_another_kind_is_refused() {
    check_header(&json!({"typ": "application/AT+JWT"}), OK);
    for typ in ["JWT", "kura-share+jwt", "kura-cand+jwt", "at+jwt ", ""] {
        check_header(&json!({ "typ": typ }), Err(Rejection::TokenType));
    }
    check_header(&json!({"typ": "-"}), Err(Rejection::TokenType));
    let group_with = |changes: Value| group(&json!({}), &changes);
    check(
        &group(&json!({"typ": "at+jwt"}), &json!({})),
        Err(Rejection::TokenType),
    );
    check(&group_with(json!({"typ": "-"})), OK);
    check(&group_with(json!({"typ": "ID"})), Err(Rejection::TokenType));
    check(
        &group_with(json!({"typ": "Refresh"})),
        Err(Rejection::TokenType),
    );
    check(
        &group_with(json!({"scope": "-"})),
        Err(Rejection::TokenType),
    );
    check(
        &group_with(json!({"at_hash": "x"})),
        Err(Rejection::TokenType),
    );
}

#[test]
fn sh_2_2_step_5_the_signature_covers_header_and_claims() {
    let token = local(&json!({}), &json!({}));
    let other = local(&json!({}), &json!({"sub": "taro"}));
    let part = |token: &str, index: usize| token.split('.').nth(index).unwrap().to_owned();
    let mixed = [part(&token, 0), part(&other, 1), part(&token, 2)].join(".");
    check(&mixed, Err(Rejection::Signature));
    let header = header().to_string();
    let forged = signed(&WORLD.rsa, Algorithm::RS256, &header, &claims().to_string());
    check(&forged, Err(Rejection::Signature));
}

#[test]
fn sh_2_2_step_5_times_with_a_leeway_of_a_minute() {
    let life = |iat: i64, exp: i64| json!({"iat": NOW_S + iat, "nbf": "-", "exp": NOW_S + exp});
    check_claims(&life(-3600, -59), OK);
    check_claims(&life(-3600, -60), Err(Rejection::Expired));
    check_claims(&life(-3600, -61), Err(Rejection::Expired));
    check_claims(&life(60, 3600), OK);
    check_claims(&life(61, 3600), Err(Rejection::NotYetValid));
    check_claims(&json!({"nbf": NOW_S + 60}), OK);
    check_claims(&json!({"nbf": NOW_S + 61}), Err(Rejection::NotYetValid));
    check_claims(&life(0, 12 * 3600), OK);
    check_claims(&life(0, 12 * 3600 + 1), Err(Rejection::Life));
    check_claims(&life(0, 365 * 86400), Err(Rejection::Life));
    check_claims(&life(1, 0), Err(Rejection::Life));
    check_claims(&json!({"iat": i64::MIN}), Err(Rejection::Life));
    check_claims(
        &json!({"iat": i64::MIN, "exp": i64::MAX}),
        Err(Rejection::Life),
    );
    check_claims(&json!({"exp": i64::MIN}), Err(Rejection::Expired));
    for missing in ["exp", "iat"] {
        check_claims(&json!({ missing: "-" }), Err(Rejection::Claims));
        check_claims(&json!({ missing: "1767225600" }), Err(Rejection::Claims));
        check_claims(&json!({ missing: 1e30 }), Err(Rejection::Claims));
    }
    let group_life = |exp: i64| group(&json!({}), &json!({"exp": NOW_S + exp}));
    check(&group_life(900), OK);
    check(&group_life(901), Err(Rejection::Life));
}

#[test]
fn sh_2_2_step_6_audience_and_client() {
    check_claims(&json!({"aud": ["kura"]}), OK);
    for aud in [
        json!("kura-edge"),
        json!("kura-share"),
        json!(["account"]),
        json!([]),
        json!(""),
    ] {
        check_claims(&json!({ "aud": aud }), Err(Rejection::Audience));
    }
    for aud in [
        json!("-"),
        Value::Null,
        json!(1),
        json!(["kura", 1]),
        json!({"kura": 1}),
    ] {
        check_claims(&json!({ "aud": aud }), Err(Rejection::Claims));
    }
    check_claims(&json!({"azp": "viewer-web"}), Err(Rejection::Client));
    check(&group(&json!({}), &json!({"azp": "-"})), OK);
    check(
        &group(&json!({}), &json!({"azp": "viewer"})),
        Err(Rejection::Client),
    );
    check(
        &group(&json!({}), &json!({"client_id": "viewer"})),
        Err(Rejection::Client),
    );
    check(
        &group(&json!({}), &json!({"azp": ["viewer-web"]})),
        Err(Rejection::Claims),
    );
}

#[test]
fn sh_2_2_step_8_an_issuer_speaks_for_its_facilities_only() {
    check(&group(&json!({}), &json!({"kura_fac": "F020"})), OK);
    check(
        &group(&json!({}), &json!({"kura_fac": "F003"})),
        Err(Rejection::NotBound),
    );
    check(
        &group(&json!({}), &json!({"kura_fac": "-"})),
        Err(Rejection::Facility),
    );
    check_claims(&json!({"kura": {"fac": "F003"}}), OK);
    for fac in ["", "f012", "F012 ", "F", "F0123456789012345", "Ｆ０１２"] {
        check_claims(&json!({"kura": {"fac": fac}}), Err(Rejection::Facility));
    }
    for fac in [json!(12), json!(["F012", "F020"]), json!({"code": "F012"})] {
        check_claims(&json!({"kura": {"fac": fac}}), Err(Rejection::Claims));
    }
}

#[test]
fn sh_2_3_both_forms_of_a_claim_agree() {
    check_claims(
        &json!({"kura_fac": "F012", "kura_roles": ["physician"]}),
        OK,
    );
    check_claims(&json!({"kura_fac": "F020"}), Err(Rejection::Ambiguous));
    check_claims(
        &json!({"kura_roles": ["radiologist"]}),
        Err(Rejection::Ambiguous),
    );
    check_claims(&json!({"kura_roles": []}), Err(Rejection::Ambiguous));
    check_claims(&json!({"kura_roles": "physician"}), Err(Rejection::Claims));
    check_claims(
        &json!({"kura": {"fac": "F012", "roles": [1]}}),
        Err(Rejection::Claims),
    );
    let twice = r#"{"sub":"taro","#.to_owned() + &claims().to_string()[1..];
    let twice = signed(
        &WORLD.local,
        Algorithm::EdDSA,
        &header().to_string(),
        &twice,
    );
    check(&twice, Err(Rejection::Claims));
}

#[test]
fn sh_2_3_subject_and_purpose() {
    check_claims(&json!({"sub": "x".repeat(255)}), OK);
    for sub in [
        String::new(),
        "x".repeat(256),
        "a\nb".to_owned(),
        "a\u{0}".to_owned(),
    ] {
        check_claims(&json!({ "sub": sub }), Err(Rejection::Subject));
    }
    check_claims(&json!({"sub": 7}), Err(Rejection::Claims));
    check_claims(&json!({"jti": "x".repeat(1024)}), OK);
    for jti in ["x".repeat(1025), "a\u{0}".to_owned()] {
        check_claims(&json!({ "jti": jti }), Err(Rejection::Claims));
    }
    check_claims(&json!({"kura": {"fac": "F012", "pou": "BTG"}}), OK);
    check_claims(
        &json!({"kura": {"fac": "F012", "pou": "treat"}}),
        Err(Rejection::Purpose),
    );
}

#[test]
fn sh_2_5_scopes_are_what_token_roles_and_ceiling_all_give() {
    let scopes = |token: &str| verify(token).unwrap().scopes().to_claim();
    let of_local = |changes: Value| scopes(&local(&json!({}), &changes));
    let of_group = |changes: Value| scopes(&group(&json!({}), &changes));
    let roles = |roles: &[&str]| json!({"kura": {"fac": "F012", "roles": roles}});
    assert_eq!(of_local(roles(&[])), "dicom.read dicom.write report.read");
    assert_eq!(
        of_local(roles(&["radiologist"])),
        "dicom.read dicom.write report.read"
    );
    assert_eq!(
        of_local(roles(&["external_reader", "edge"])),
        "dicom.read dicom.write report.read"
    );
    assert_eq!(of_local(roles(&["group_admin"])), "");
    assert_eq!(of_local(roles(&["superuser"])), "");
    assert_eq!(of_local(json!({"scope": "-"})), "");
    assert_eq!(of_group(json!({"kura_roles": "-"})), "");
    assert_eq!(of_group(json!({"kura_roles": []})), "");
    assert_eq!(
        of_group(json!({"kura_roles": ["radiologist"]})),
        "dicom.read dicom.write"
    );
}

#[test]
fn sh_2_6_only_two_factors_that_are_fresh_are_strong() {
    let facility = crate::model::Facility {
        id: crate::model::FacilityId(uuid::Uuid::nil()),
        code: code("F012"),
        name: String::new(),
        kind: crate::model::FacilityKind::Member,
        state: crate::model::FacilityState::Active,
        policy: std::sync::Arc::default(),
    };
    let strong = |changes: Value| {
        let verified = verify(&local(&json!({}), &changes));
        let access = Access::from_verified(&verified.unwrap(), facility.clone()).unwrap();
        let answer = access.require_strong(Timestamp(NOW_S * 1_000_000));
        answer.map_err(|error| error.kind())
    };
    let two = "urn:kura:acr:2fa";
    let with_age = |age: i64| json!({"acr": two, "kura": {"fac": "F012", "mfa_age": age}});
    let refused = Err(Kind::StepUp);
    assert_eq!(
        strong(json!({"acr": two, "auth_time": NOW_S - 900})),
        Ok(())
    );
    assert_eq!(strong(json!({"acr": two, "auth_time": NOW_S + 60})), Ok(()));
    assert_eq!(strong(with_age(900)), Ok(()));
    let mut stepped_up = with_age(20);
    stepped_up["auth_time"] = json!(NOW_S - 40_000);
    assert_eq!(strong(stepped_up), Ok(()), "the second factor is fresh");
    for weak in [
        json!({}),
        json!({"acr": two}),
        json!({"acr": two, "auth_time": NOW_S - 901}),
        json!({"acr": two, "auth_time": NOW_S + 61}),
        json!({"acr": two, "auth_time": i64::MIN}),
        json!({"acr": "1", "auth_time": NOW_S}),
        json!({"acr": "URN:KURA:ACR:2FA", "auth_time": NOW_S}),
        json!({"auth_time": NOW_S, "amr": ["pwd", "otp"]}),
        with_age(901),
        with_age(-61),
        with_age(i64::MIN),
        with_age(i64::MAX),
    ] {
        assert_eq!(strong(weak.clone()), refused, "{weak}");
    }
}

#[test]
fn every_refusal_reads_the_same_outside() {
    let shown = |rejection: Rejection| crate::Error::from(rejection).detail().to_owned();
    assert_eq!(shown(Rejection::Expired), shown(Rejection::Signature));
    assert_eq!(shown(Rejection::NotBound), shown(Rejection::Segments));
}

proptest! {
    #[test]
    fn any_text_is_refused_and_nothing_panics(text in ".{0,400}") {
        prop_assert!(verify(&text).is_err());
    }

    #[test]
    fn any_json_between_the_dots_is_refused(header in ".{0,60}", claims in ".{0,60}") {
        let token = signed(&WORLD.rsa, Algorithm::RS256, &header, &claims);
        prop_assert!(verify(&token).is_err());
    }

    #[test]
    fn any_claim_of_any_type_gives_a_value_or_a_refusal(
        name in prop::sample::select(vec![
            "iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope", "azp", "acr", "auth_time",
            "kura", "kura_fac", "kura_roles", "at_hash", "typ",
        ]),
        value in prop_oneof![
            Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from), ".{0,20}".prop_map(Value::from),
            prop::collection::vec(".{0,5}", 0..3).prop_map(Value::from), Just(json!({"fac": 1})),
        ],
    ) {
        let token = local(&json!({}), &json!({ name: value }));
        if let Ok(verified) = verify(&token) {
            prop_assert_eq!(verified.issuer(), "kura:local");
        }
    }

    #[test]
    fn a_token_with_one_other_character_is_refused(at in any::<prop::sample::Index>(), by in "[A-Za-z0-9_.-]") {
        let token = local(&json!({}), &json!({}));
        let mut changed = token.clone();
        let at = at.index(token.len());
        changed.replace_range(at..=at, &by);
        prop_assert_eq!(verify(&changed).is_ok(), changed == token);
    }
}
