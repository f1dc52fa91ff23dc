//! A real identity provider, `tests/node/provider.mjs`: what it signs is believed as far as it is configured, and no
//! further.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{LIMIT, claims};
use crate::harness::server::{kura, wait_for};
use crate::harness::{Server, backing};

/// A running provider. Dropped, it ends.
struct Provider {
    issuer: String,
    control: String,
    client: reqwest::Client,
    child: Child,
}

impl Provider {
    /// A provider whose access tokens have this `typ`; `None` where there is no Node.
    fn start(typ: &str) -> Option<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        if !folder.join("node_modules/oidc-provider").is_dir() {
            let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(
                !is_ci,
                "no oidc-provider: scripts/setup --tests installs it"
            );
            println!("no oidc-provider: scripts/setup --tests installs it");
            return None;
        }
        let mut child = Command::new("node")
            .arg(folder.join("provider.mjs"))
            .arg(typ)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let at: Value = serde_json::from_str(&line).expect("the provider says where it is");
        let address = |name: &str| at[name].as_str().unwrap().to_owned();
        Some(Self {
            issuer: address("issuer"),
            control: address("control"),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            child,
        })
    }

    async fn control(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.control);
        let answer = self.client.post(url).json(body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn key_fetches(&self) -> u64 {
        self.control("/counts", &json!({})).await["jwks"]
            .as_u64()
            .unwrap()
    }

    /// An access token of `client` with these claims.
    async fn token_for(&self, client: &str, scope: &str, resource: &str, claims: &Value) -> String {
        let escaped: String = claims
            .to_string()
            .bytes()
            .fold(String::new(), |mut all, byte| {
                write!(all, "%{byte:02X}").unwrap();
                all
            });
        let form = format!(
            "grant_type=client_credentials&scope={}&resource={resource}&claims={escaped}",
            scope.replace(' ', "+")
        );
        let request = self
            .client
            .post(format!("{}/token", self.issuer))
            .basic_auth(client, Some(format!("secret%20of%20{client}")))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    async fn token(&self, claims: &Value) -> String {
        let scope = "openid dicom.read dicom.write admin.token";
        self.token_for("viewer-web", scope, "https://kura.example.org/", claims)
            .await
    }

    /// A table `[[auth.issuers]]` for a provider and `F001`, with more lines.
    fn table(issuer: &str, more: &str) -> String {
        format!(
            "[[auth.issuers]]\nissuer = \"{issuer}\"\nfacilities = [\"F001\"]\nclients = [\"viewer-web\"]\n{more}\n"
        )
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A server with the facilities `F001` and `F002` and this configuration.
fn server(configuration: &str) -> Server {
    let data = Arc::new(tempfile::tempdir().unwrap());
    backing::prepare(data.path());
    for code in ["F001", "F002"] {
        kura(
            data.path(),
            &["facility", "add", code, "--name", "Hospital"],
        );
    }
    let file = data.path().join("kura.toml");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    command.arg("--config").arg(file);
    Server::start_with(data, command)
}

/// Waits until the server has the keys of its providers.
fn wait_for_keys(server: &Server) {
    let told = |line: &String| line.contains("keys of an identity provider are new");
    wait_for(LIMIT, || server.log().iter().any(told).then_some(()));
}

async fn status(server: &Server, token: &str) -> u16 {
    server.get("/studies", token).await.status
}

fn physician() -> Value {
    json!({"kura": {"fac": "F001", "roles": ["physician"]}})
}

/// The token with another name for its key, as nobody can have signed it.
fn with_key_name(token: &str, kid: &str) -> String {
    let (header, rest) = token.split_once('.').unwrap();
    let mut header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"] = json!(kid);
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[tokio::test]
async fn sh_2_2_4_tokens_of_a_provider_count_through_rotation_flood_and_outage() {
    let Some(provider) = Provider::start("at+jwt") else {
        return;
    };
    let server = server(&Provider::table(&provider.issuer, ""));
    wait_for_keys(&server);
    let before = provider.token(&physician()).await;
    assert_eq!(status(&server, &before).await, 204);
    assert_eq!(provider.key_fetches().await, 1);
    provider.control("/rotate?keep=no", &json!({})).await;
    let after = provider.token(&physician()).await;
    assert_ne!(
        before.split('.').next(),
        after.split('.').next(),
        "another key"
    );
    assert_eq!(status(&server, &after).await, 204, "its key is fetched");
    assert_eq!(
        status(&server, &before).await,
        204,
        "until its last token has expired"
    );
    assert_eq!(provider.key_fetches().await, 2);
    for number in 0..50 {
        let forged = with_key_name(&after, &format!("unknown-{number}"));
        assert_eq!(status(&server, &forged).await, 401);
    }
    assert_eq!(provider.key_fetches().await, 2, "once a minute at most");
    provider.control("/off", &json!({})).await;
    for token in [&before, &after] {
        assert_eq!(status(&server, token).await, 204, "the provider is away");
    }
    let (head, signature) = after.rsplit_once('.').unwrap();
    let signature: String = signature.chars().rev().collect();
    assert_eq!(status(&server, &format!("{head}.{signature}")).await, 401);
}

#[tokio::test]
async fn sh_2_2_4_a_provider_that_comes_later_is_found() {
    let Some(provider) = Provider::start("at+jwt") else {
        return;
    };
    let token = provider.token(&physician()).await;
    provider.control("/off", &json!({})).await;
    let server = server(&Provider::table(&provider.issuer, ""));
    let told =
        |line: &String| line.contains("could not be fetched") && line.contains(&provider.issuer);
    wait_for(LIMIT, || server.log().iter().any(told).then_some(()));
    assert_eq!(status(&server, &token).await, 401);
    provider.control("/on", &json!({})).await;
    wait_for_keys(&server);
    assert_eq!(status(&server, &token).await, 204);
}

#[tokio::test]
async fn sh_2_2_8_sh_2_2_6_a_provider_speaks_for_its_facilities_clients_and_audience() {
    let Some(provider) = Provider::start("at+jwt") else {
        return;
    };
    let server = server(&Provider::table(&provider.issuer, ""));
    wait_for_keys(&server);
    let roles = json!(["physician"]);
    for (claims, expected) in [
        (json!({"kura": {"fac": "F001", "roles": roles}}), 204),
        (json!({"kura_fac": "F001", "kura_roles": roles}), 204),
        (
            json!({"kura": {"fac": "F001"}, "kura_fac": "F001", "kura_roles": roles}),
            204,
        ),
        (json!({"kura": {"fac": "F002", "roles": roles}}), 401),
        (json!({"kura": {"fac": "F009", "roles": roles}}), 401),
        (
            json!({"kura": {"fac": "F001", "roles": roles}, "kura_fac": "F002"}),
            401,
        ),
        (json!({"kura": {"roles": roles}}), 401),
        (json!({}), 401),
        (json!({"kura": {"fac": ["F001"], "roles": roles}}), 401),
        (
            json!({"kura": {"fac": "F001", "roles": roles}, "azp": "stranger"}),
            401,
        ),
    ] {
        let token = provider.token(&claims).await;
        assert_eq!(status(&server, &token).await, expected, "{claims}");
    }
    let (scope, at) = ("dicom.read", "https://kura.example.org/");
    let stranger = provider
        .token_for("stranger", scope, at, &physician())
        .await;
    assert_eq!(
        status(&server, &stranger).await,
        401,
        "a client that is not registered"
    );
    let elsewhere = "https://elsewhere.example.org/";
    let other = provider
        .token_for("viewer-web", scope, elsewhere, &physician())
        .await;
    assert_eq!(
        status(&server, &other).await,
        401,
        "meant for another audience"
    );
    let id = provider.control("/id-token", &physician()).await;
    let id = id["token"].as_str().unwrap();
    assert_eq!(claims(id)["aud"], "viewer-web");
    assert_eq!(
        status(&server, id).await,
        401,
        "an ID token is no access token"
    );
}

#[tokio::test]
async fn sh_2_5_a_token_allows_what_scope_role_and_ceiling_all_allow() {
    let Some(provider) = Provider::start("at+jwt") else {
        return;
    };
    let by_roles = server(&Provider::table(&provider.issuer, ""));
    let all = server(&Provider::table(
        &provider.issuer,
        "ceiling = \"everything\"",
    ));
    let some = server(&Provider::table(
        &provider.issuer,
        "ceiling = \"dicom.write\"",
    ));
    for server in [&by_roles, &all, &some] {
        wait_for_keys(server);
    }
    let without_role = provider.token(&json!({"kura": {"fac": "F001"}})).await;
    let physician = provider.token(&physician()).await;
    assert_eq!(status(&by_roles, &without_role).await, 403);
    assert_eq!(status(&by_roles, &physician).await, 204);
    assert_eq!(status(&all, &without_role).await, 204);
    assert_eq!(status(&some, &without_role).await, 403);
    assert_eq!(status(&some, &physician).await, 403);
    let at = "https://kura.example.org/";
    let scope = "user/ImagingStudy.rs";
    let claims = json!({"kura": {"fac": "F001", "roles": ["physician"]}});
    let alias = provider.token_for("viewer-web", scope, at, &claims).await;
    assert_eq!(status(&by_roles, &alias).await, 204, "SMART names are read");
    // A role that administers reads no patients, whatever the token asks for.
    let claims = json!({"kura": {"fac": "F001", "roles": ["group_admin"]}});
    let admin = provider.token(&claims).await;
    assert_eq!(status(&by_roles, &admin).await, 403);
    let body = json!({"signOut": {"issuer": "kura:local", "subject": "nobody"}});
    let done = super::post(&by_roles, "/auth/revoke", &admin, &body).await;
    assert_eq!(done.status, 204);
}

#[tokio::test]
async fn sh_2_1_a_provider_that_marks_all_its_tokens_alike_is_told_apart_by_what_they_hold() {
    let Some(provider) = Provider::start("JWT") else {
        return;
    };
    let marked = server(&Provider::table(&provider.issuer, "header_typ = \"JWT\""));
    let strict = server(&Provider::table(&provider.issuer, ""));
    for server in [&marked, &strict] {
        wait_for_keys(server);
    }
    let token = provider.token(&physician()).await;
    assert_eq!(claims(&token)["typ"], "Bearer");
    assert_eq!(status(&marked, &token).await, 204);
    assert_eq!(
        status(&strict, &token).await,
        401,
        "an issuer that is not marked so"
    );
    let id = provider.control("/id-token", &physician()).await;
    assert_eq!(status(&marked, id["token"].as_str().unwrap()).await, 401);
}

#[tokio::test]
async fn sh_2_2_3_a_provider_under_another_name_gives_no_keys_and_the_check_says_so() {
    let Some(provider) = Provider::start("at+jwt") else {
        return;
    };
    let other = provider.issuer.replace("127.0.0.1", "localhost");
    let configuration = Provider::table(&other, "");
    let server = server(&configuration);
    let told = |line: &String| line.contains(&other) && line.contains("discovery document");
    wait_for(LIMIT, || server.log().iter().any(told).then_some(()));
    let token = provider.token(&physician()).await;
    assert_eq!(status(&server, &token).await, 401);
    let check = |configuration: &str| {
        let file = server.data.path().join("check.toml");
        std::fs::write(&file, configuration).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_kura"))
            .arg("--config")
            .arg(file)
            .args(["serve", "--check"])
            .env("KURA_DATA", server.data.path())
            .env("KURA_LOG", "error")
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), told)
    };
    let (code, told) = check(&configuration);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains(&other) && told.contains("issuer"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    let (code, told) = check(&Provider::table(&provider.issuer, ""));
    assert_eq!(code, 0, "{told}");
    let (code, told) = check(&configuration.replace("[\"F001\"]", "[]"));
    assert_eq!(code, 2);
    assert!(told.contains("auth.issuers[0].facilities"), "{told}");
}

#[tokio::test]
async fn sh_2_1_the_local_issuer_ends_where_a_provider_begins() {
    let Some(provider) = Provider::start("at+jwt") else {
        return;
    };
    let table = Provider::table(&provider.issuer, "");
    let alone = server(&table);
    let local = alone.reader("F001");
    assert_eq!(status(&alone, &local).await, 401, "switched off");
    let both = server(&format!("[auth]\nlocal_issuer = true\n{table}"));
    wait_for_keys(&both);
    assert_eq!(status(&both, &both.reader("F001")).await, 204);
    assert_eq!(
        status(&both, &provider.token(&physician()).await).await,
        204
    );
    let warned = |line: &String| line.contains("auth.local_issuer");
    assert!(both.log().iter().any(warned) && !alone.log().iter().any(warned));
    let output = Command::new(env!("CARGO_BIN_EXE_kura"))
        .arg("--config")
        .arg(alone.data.path().join("kura.toml"))
        .args(["token", "--facility", "F001", "--role", "physician"])
        .env("KURA_DATA", alone.data.path())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("auth.local_issuer = true"), "{told}");
    assert!(output.stdout.is_empty());
}
