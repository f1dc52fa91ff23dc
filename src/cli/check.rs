//! `kura serve --check`: what the server would use, and whether it can be reached. Makes nothing: a database file or a folder
//! that is not there yet is only named.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use crate::config::{Config, LegacyAt};
use crate::error::{Error, Result};
use crate::index::{Index, SchemaState};
use crate::model::Clock;
use crate::storage::Vault;

/// How long a database or a store has to answer.
const WITHIN: Duration = Duration::from_secs(5);

/// Says what would be used; fails with what cannot be.
#[expect(
    clippy::print_stdout,
    reason = "what is used is the result of the command"
)]
pub(super) async fn run(config: &Config) -> Result<()> {
    println!("listen      {}", config.listen);
    let public = config.public_url.as_deref();
    println!(
        "public URL  {}",
        public.unwrap_or("taken from each request")
    );
    for issuer in issuers(config) {
        println!("tokens      {issuer}");
    }
    for LegacyAt { listen, legacy } in &config.legacy {
        let scopes = legacy.scopes.to_claim();
        let facility = &legacy.facility;
        println!("MINT        {listen} without TLS and tokens, as {facility} with {scopes}");
    }
    println!("data        {}", config.data.display());
    println!(
        "database    {} {}",
        config.database_url,
        database(config).await?
    );
    println!(
        "storage     {} {}",
        config.storage_url,
        storage(config).await?
    );
    eprintln!("the configuration is good");
    Ok(())
}

fn issuers(config: &Config) -> Vec<String> {
    let local = config
        .auth
        .local_issuer
        .then(|| "signed with the local key".to_owned());
    let others = config
        .auth
        .issuers
        .iter()
        .map(|it| format!("of {}", it.issuer));
    local.into_iter().chain(others).collect()
}

async fn database(config: &Config) -> Result<String> {
    let url = config.database_url.expose();
    let file = url.strip_prefix("sqlite://").map(file_of);
    if file
        .as_deref()
        .is_some_and(|file| !Path::new(file).exists())
    {
        return Ok("(a file that is made at the start)".to_owned());
    }
    let state = within("the database", async {
        let index = Index::open(url, Clock::System).await?;
        let state = index.schema_state().await?;
        if state.refusal().is_none() {
            crate::app::check_legacy(config, &index).await?;
        }
        index.close().await?;
        Ok(state)
    })
    .await?;
    if config.database_is_embedded() && matches!(state, SchemaState::Older { .. }) {
        return Ok("(reached; the schema is brought up to date at the start)".to_owned());
    }
    match state.refusal() {
        Some(refusal) => Err(Error::invalid(refusal)),
        None => Ok("(reached; the schema is up to date)".to_owned()),
    }
}

async fn storage(config: &Config) -> Result<String> {
    let url = config.storage_url.expose();
    let folder = url.strip_prefix("fs://");
    if folder.is_some_and(|folder| !Path::new(folder).exists()) {
        return Ok("(a folder that is made at the start)".to_owned());
    }
    within("the store", async {
        Vault::open(url).await?.health().await
    })
    .await?;
    Ok("(reached)".to_owned())
}

async fn within<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(WITHIN, work)
        .await
        .unwrap_or_else(|late| {
            let detail = format!("{what} does not answer within {} seconds", WITHIN.as_secs());
            Err(Error::unavailable(detail, late))
        })
}

/// The path of a `sqlite://` URL.
fn file_of(rest: &str) -> String {
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    path.replace("%3F", "?")
        .replace("%23", "#")
        .replace("%25", "%")
}
