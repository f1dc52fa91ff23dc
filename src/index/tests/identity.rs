//! Deny list, session epoch, suspension, sessions, and what becomes of their rows.

use futures::FutureExt;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::world::{World, clock};
use crate::auth::{Access, Authenticator, LocalKey, Rejection, Verified};
use crate::index::identity::Verdict;
use crate::model::{Facility, Timestamp};

/// The instant of the world's clock, in seconds.
const NOW_S: i64 = 1_700_000_000;

/// Verifies tokens as they come in, without a server around it.
struct Door {
    key: LocalKey,
    _folder: TempDir,
}

impl Door {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = LocalKey::load_or_create(&folder.path().join("key.pem")).unwrap();
        Self {
            key,
            _folder: folder,
        }
    }

    /// A token of `hanako` at `F001` that was issued `age_s` ago, with these changes.
    fn token(&self, age_s: i64, changes: &Value) -> Verified {
        let token = self.signed(age_s, changes);
        let answer = self.authenticator().verify(&token).now_or_never();
        answer.unwrap().unwrap()
    }

    fn signed(&self, age_s: i64, changes: &Value) -> String {
        let mut claims = json!({
            "iss": "kura:local", "aud": "kura", "sub": "hanako", "jti": "b9d0",
            "iat": NOW_S - age_s, "exp": NOW_S + 600, "scope": "dicom.read",
            "acr": "urn:kura:acr:2fa", "auth_time": NOW_S - age_s,
            "kura": {"fac": "F001", "roles": ["physician"], "pou": "ETREAT", "mfa_age": 5}
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.key.sign(&claims).unwrap()
    }

    fn authenticator(&self) -> Authenticator {
        Authenticator::new(vec![self.key.issuer()], clock())
    }
}

async fn admitted(world: &World, verified: &Verified) -> Result<Facility, Rejection> {
    let standing = world.index.standing(verified).await.unwrap();
    standing.admits(verified)
}

async fn refusal(world: &World, verified: &Verified) -> Option<Rejection> {
    admitted(world, verified).await.err()
}

#[tokio::test]
async fn sh_2_2_7_a_denied_token_is_refused_until_it_would_have_expired() {
    let (world, door) = (World::new().await, Door::new());
    world.facility("F001").await;
    let (denied, other) = (
        door.token(0, &json!({})),
        door.token(0, &json!({"jti": "b9d1"})),
    );
    let nameless = door.token(0, &json!({"jti": null}));
    assert_eq!(refusal(&world, &denied).await, None);
    let until = Timestamp((NOW_S + 660) * 1_000_000);
    world.index.deny_token("b9d0", until).await.unwrap();
    // The later end stays.
    let sooner = Timestamp((NOW_S + 1) * 1_000_000);
    world.index.deny_token("b9d0", sooner).await.unwrap();
    assert_eq!(refusal(&world, &denied).await, Some(Rejection::Denied));
    assert_eq!(refusal(&world, &other).await, None);
    assert_eq!(refusal(&world, &nameless).await, None);
    let same_in_capitals = door.token(0, &json!({"jti": "B9D0"}));
    assert_eq!(refusal(&world, &same_in_capitals).await, None);
}

#[tokio::test]
async fn sh_2_2_7_a_token_from_before_the_session_epoch_is_refused() {
    let (world, door) = (World::new().await, Door::new());
    world.facility("F001").await;
    let (old, new) = (door.token(1, &json!({})), door.token(0, &json!({})));
    let elsewhere = door.token(1, &json!({"sub": "taro"}));
    let judge = async |verdict| {
        let done = world.index.judge_subject("kura:local", "hanako", verdict);
        done.await.unwrap();
    };
    judge(Verdict::SignedOut).await;
    assert_eq!(refusal(&world, &old).await, Some(Rejection::SignedOut));
    assert_eq!(refusal(&world, &new).await, None);
    assert_eq!(refusal(&world, &elsewhere).await, None);
    judge(Verdict::Suspended).await;
    judge(Verdict::Suspended).await;
    for token in [&old, &new] {
        assert_eq!(refusal(&world, token).await, Some(Rejection::Suspended));
    }
    judge(Verdict::Allowed).await;
    assert_eq!(refusal(&world, &new).await, None);
    assert_eq!(refusal(&world, &old).await, Some(Rejection::SignedOut));
    // The same name at another issuer is somebody else; allowing a stranger takes nothing back.
    let taro = world
        .index
        .judge_subject("kura:local", "taro", Verdict::Allowed);
    taro.await.unwrap();
    assert_eq!(refusal(&world, &elsewhere).await, None);
    let other = world
        .index
        .judge_subject("https://idp.example.org", "taro", Verdict::Suspended);
    other.await.unwrap();
    assert_eq!(refusal(&world, &elsewhere).await, None);
}

#[tokio::test]
async fn sh_2_2_a_facility_that_is_not_there_or_not_active_lets_nobody_in() {
    use sea_orm::ConnectionTrait;
    let (world, door) = (World::new().await, Door::new());
    let token = door.token(0, &json!({}));
    assert_eq!(
        refusal(&world, &token).await,
        Some(Rejection::NoSuchFacility)
    );
    world.facility("F001").await;
    for state in ["suspended", "closed"] {
        let set = format!("UPDATE facility SET state = '{state}'");
        world.index.writer.execute_unprepared(&set).await.unwrap();
        let facility = admitted(&world, &token).await.unwrap();
        let refused = Access::from_verified(&token, facility).err();
        assert_eq!(refused, Some(Rejection::NoSuchFacility), "{state}");
    }
}

#[tokio::test]
async fn sh_2_2_7_without_the_database_nobody_is_let_in() {
    let (world, door) = (World::new().await, Door::new());
    world.facility("F001").await;
    let token = door.token(0, &json!({}));
    let index = world.index.clone();
    world.index.close().await.unwrap();
    let refused = index.standing(&token).await.unwrap_err();
    assert_eq!(refused.kind(), crate::error::Kind::Unavailable);
}

#[tokio::test]
async fn sh_2_7_a_session_is_what_its_token_is() {
    let (world, door) = (World::new().await, Door::new());
    world.facility("F001").await;
    let token = door.token(30, &json!({}));
    world.index.open_session(&[1; 32], &token).await.unwrap();
    let kept = world.index.session(&[1; 32]).await.unwrap().unwrap();
    let session = door.authenticator().resume(kept).unwrap();
    assert_eq!(format!("{session:?}"), format!("{token:?}"));
    assert!(world.index.session(&[2; 32]).await.unwrap().is_none());
    world.index.close_session(&[1; 32]).await.unwrap();
    world.index.close_session(&[1; 32]).await.unwrap();
    assert!(world.index.session(&[1; 32]).await.unwrap().is_none());
}

#[tokio::test]
async fn sh_2_7_sessions_end_with_a_sign_out_and_are_few() {
    let (world, door) = (World::new().await, Door::new());
    world.facility("F001").await;
    let token = door.token(0, &json!({}));
    let other = door.token(0, &json!({"sub": "taro"}));
    world.index.open_session(&[200; 32], &other).await.unwrap();
    for number in 0..25 {
        world
            .index
            .open_session(&[number; 32], &token)
            .await
            .unwrap();
    }
    let mut alive = 0;
    for number in 0..25 {
        let session = world.index.session(&[number; 32]).await.unwrap();
        alive += usize::from(session.is_some());
    }
    assert_eq!(alive, 20);
    assert!(world.index.session(&[24; 32]).await.unwrap().is_some());
    let out = world
        .index
        .judge_subject("kura:local", "hanako", Verdict::SignedOut);
    out.await.unwrap();
    assert!(world.index.session(&[24; 32]).await.unwrap().is_none());
    assert!(world.index.session(&[200; 32]).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_over_is_removed_and_nothing_else() {
    let (world, door) = (World::new().await, Door::new());
    let at = |seconds: i64| Timestamp((NOW_S + seconds) * 1_000_000);
    world.index.deny_token("soon", at(10)).await.unwrap();
    world.index.deny_token("later", at(1000)).await.unwrap();
    let token = door.token(0, &json!({}));
    world.index.open_session(&[1; 32], &token).await.unwrap();
    assert_eq!(world.index.expire_identity(at(9)).await.unwrap(), 0);
    assert_eq!(world.index.expire_identity(at(10)).await.unwrap(), 1);
    assert_eq!(world.index.expire_identity(at(600)).await.unwrap(), 1);
    assert_eq!(world.index.expire_identity(at(600)).await.unwrap(), 0);
    assert_eq!(world.index.expire_identity(at(1000)).await.unwrap(), 1);
}

/// What letting somebody in costs: `cargo test --release --lib what_letting -- --ignored --nocapture` prints it.
#[tokio::test]
#[ignore = "prints figures and judges none"]
async fn what_letting_somebody_in_costs() {
    const ROUNDS: u32 = 2000;
    let (world, door) = (World::new().await, Door::new());
    world.facility("F001").await;
    for number in 0..20_000 {
        let until = Timestamp((NOW_S + 600) * 1_000_000);
        let jti = format!("denied-{number}");
        world.index.deny_token(&jti, until).await.unwrap();
    }
    let token = door.token(0, &json!({}));
    world.index.open_session(&[1; 32], &token).await.unwrap();
    let started = std::time::Instant::now();
    for _ in 0..ROUNDS {
        world.index.standing(&token).await.unwrap();
    }
    println!(
        "standing, 20,000 denied tokens: {:?}",
        started.elapsed() / ROUNDS
    );
    let started = std::time::Instant::now();
    for _ in 0..ROUNDS {
        world.index.session(&[1; 32]).await.unwrap().unwrap();
    }
    println!("session row: {:?}", started.elapsed() / ROUNDS);
    let signed = door.signed(0, &json!({}));
    let authenticator = door.authenticator();
    let started = std::time::Instant::now();
    for _ in 0..ROUNDS {
        authenticator.verify(&signed).await.unwrap();
    }
    println!("verification, Ed25519: {:?}", started.elapsed() / ROUNDS);
}
