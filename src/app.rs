//! The one place where things are built: configuration → archive, rights, listeners.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web;
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::archive::Archive;
use crate::auth::keys::LocalKey;
use crate::auth::{Authenticator, Issuer, Keys, LinkKey, Provider, Seal};
use crate::config::{Config, IssuerConfig, LegacyAt};
use crate::error::{Error, Kind, Result};
use crate::http::caller::Gate;
use crate::http::metrics::Metrics;
use crate::http::mint::legacy::Legacy;
use crate::http::server::{Doors, Settings};
use crate::http::urls::{Address, LEGACY_MINT, Urls};
use crate::http::viewer::Viewer;
use crate::http::{self, State};
use crate::index::Index;
use crate::model::Clock;
use crate::storage::Vault;
use crate::telemetry::Telemetry;
use crate::worker::{self, Worker};

/// What counts the process keeps is put in order this often, whether anybody reads it or not.
const UPKEEP: Duration = Duration::from_secs(5);

/// How much the threads that store and do jobs yield to those that answer viewers, as `nice` counts: while both have work,
/// they get a tenth of a core; while nobody looks at anything, all there is.
const BACKGROUND_YIELDS: i32 = 10;

/// The threads on which stores and jobs run, with their waits for the disk: apart from those that answer, and yielding to them,
/// so that a viewer does not wait behind the scan and the digest of what somebody else sends (docs/decisions/0027).
#[derive(Debug)]
struct BackgroundThreads(Option<Runtime>);

impl BackgroundThreads {
    fn start() -> Result<Self> {
        tokio::runtime::Builder::new_multi_thread()
            .thread_name("kura-background")
            .on_thread_start(yield_to_others)
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|e| {
                Error::internal(
                    "the threads for work in the background cannot be started",
                    e,
                )
            })
    }

    fn handle(&self) -> Handle {
        self.0
            .as_ref()
            .map_or_else(Handle::current, |it| it.handle().clone())
    }
}

impl Drop for BackgroundThreads {
    fn drop(&mut self) {
        // A runtime that is dropped in another one panics, lest it wait there.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lowers the priority of this thread. On Linux each thread has one of its own; elsewhere the process would be meant.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, BACKGROUND_YIELDS) {
        tracing::debug!(%error, "a thread in the background yields to nobody");
    }
}

/// What a process has opened.
#[derive(Debug)]
pub struct App {
    config: Config,
    archive: Archive,
    key: LocalKey,
    background: BackgroundThreads,
    /// Cancelled when the process is told to stop.
    stopping: CancellationToken,
}

impl App {
    /// Opens database, store and key. On the embedded default what is missing is made: folder, schema, key.
    ///
    /// # Errors
    /// One line that says what is wrong and how to mend it.
    pub async fn open(config: Config) -> Result<Self> {
        make_data_folder(&config)?;
        let clock = Clock::System;
        let index = Index::open(config.database_url.expose(), clock.clone())
            .await?
            .with_repack_quiet_s(config.storage.repack_quiet_s);
        if config.database_is_embedded() {
            index.migrate().await?;
        }
        if let Some(refusal) = index.schema_state().await?.refusal() {
            return Err(Error::invalid(refusal));
        }
        let vault = Vault::open(config.storage_url.expose()).await?;
        let key = match &config.auth.signing_key {
            // One that is named is shared with others: it is not made here, each would make its own.
            Some(path) => LocalKey::load(path)?,
            None => LocalKey::load_or_create(&config.data.join("local-key.pem"))?,
        };
        let background = BackgroundThreads::start()?;
        let archive = Archive::new(index, vault, clock, Handle::current())
            .with_stores_on(background.handle())
            .with_bin_days(config.storage.bin_days)
            .with_limits(config.limits.of_stores());
        Ok(Self {
            config,
            archive,
            key,
            background,
            stopping: CancellationToken::new(),
        })
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The archive.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The key of the local issuer.
    pub fn key(&self) -> &LocalKey {
        &self.key
    }

    /// Binds the address and gives the server, which runs when it is awaited, and the address it has.
    ///
    /// # Errors
    /// `Kind::Invalid` if the address is taken or none of this machine's.
    pub fn listen(&self) -> Result<(Server, SocketAddr)> {
        let base = self
            .config
            .public_url
            .as_deref()
            .map(Urls::at)
            .transpose()?;
        let address = Address {
            base,
            behind_proxy: self.config.trust_forwarded,
            bulk_links: self.config.bulkdata_uri,
            is_legacy: false,
        };
        let authenticator = Authenticator::new(self.issuers()?, self.archive.clock().clone())
            .with_strong_max_age_s(self.config.auth.strong_max_age_s.into());
        let gate = web::Data::new(Gate::new(
            authenticator,
            self.archive.index().clone(),
            LinkKey::new(&self.key),
            address.clone(),
        ));
        let metrics = self.metrics()?;
        let state = State::new(
            self.archive.clone(),
            Seal::new(&self.key, "cursor")?,
            self.key.secret("boundary")?,
            address,
        );
        let state = state.operated(
            self.config.limits.of_requests(),
            Some(metrics),
            self.stopping.clone(),
        );
        let state = state
            .with_origins(self.config.cors.origins())
            .with_exports(self.config.export.folder.is_some());
        let state = web::Data::new(state);
        let limits = &self.config.limits;
        let settings = Settings {
            workers: self.config.workers,
            idle: Duration::from_secs(limits.idle_timeout_s),
            head: Duration::from_secs(limits.header_timeout_s),
            shutdown_timeout_s: self.config.shutdown_timeout_s,
            shutdown_delay: Duration::from_secs(self.config.shutdown_delay_s),
        };
        let listeners = bind(&self.config.listen, "KURA_LISTEN")?;
        let address = listeners.first().and_then(|bound| bound.local_addr().ok());
        let address = address.ok_or_else(|| Error::new(Kind::Internal, "no address was bound"))?;
        let for_metrics = match &self.config.metrics.listen {
            Some(listen) => bind(listen, "KURA_METRICS__LISTEN")?,
            None => Vec::new(),
        };
        for bound in &for_metrics {
            if let Ok(address) = bound.local_addr() {
                tracing::info!(address = %format_args!("http://{address}"), "metrics are served");
            }
        }
        let doors = Doors {
            main: listeners,
            metrics: for_metrics,
            viewer: self.viewer()?,
            legacy: self.legacy()?,
        };
        let server = http::server::start(&state, &gate, &settings, doors)
            .map_err(|e| Error::internal("the server cannot be started", e))?;
        Ok((server, address))
    }

    /// The viewer's sockets and files, where an operator has it.
    fn viewer(&self) -> Result<Option<(Vec<TcpListener>, Viewer, Address)>> {
        let viewer = &self.config.viewer;
        let (Some(listen), Some(folder)) = (&viewer.listen, &viewer.folder) else {
            return Ok(None);
        };
        let files = Viewer::open(folder)?;
        let base = viewer.public_url.as_deref().map(Urls::at);
        let address = Address {
            base: base.transpose()?,
            behind_proxy: self.config.trust_forwarded,
            bulk_links: self.config.bulkdata_uri,
            is_legacy: false,
        };
        let listeners = bind(listen, "KURA_VIEWER__LISTEN")?;
        for bound in &listeners {
            if let Ok(address) = bound.local_addr() {
                tracing::info!(address = %format_args!("http://{address}"), "the viewer is served");
            }
        }
        Ok(Some((listeners, files, address)))
    }

    /// The sockets of legacy listeners, where an operator has any.
    fn legacy(&self) -> Result<Vec<(Vec<TcpListener>, Legacy)>> {
        let mut bound = Vec::new();
        for at in &self.config.legacy {
            let listeners = bind(&at.listen, "KURA_MINT__LEGACY")?;
            for listener in &listeners {
                if let Ok(address) = listener.local_addr() {
                    tracing::warn!(
                        address = %format_args!("http://{address}{LEGACY_MINT}/"),
                        facility = %at.legacy.facility,
                        scopes = at.legacy.scopes.to_claim(),
                        "MINT is served without TLS and without tokens to everybody in the networks of this listener"
                    );
                }
            }
            bound.push((listeners, at.legacy.clone()));
        }
        Ok(bound)
    }

    /// Serves, and does due work beside, until SIGINT or SIGTERM: requests in flight are finished, stores whose sender is
    /// gone are sealed, jobs are finished or given back.
    ///
    /// # Errors
    /// `Kind::Internal` if the server breaks off.
    pub async fn run(&self, server: Server) -> Result<()> {
        let serve = async {
            let ended = server.await;
            self.stopping.cancel();
            ended.map_err(|e| Error::internal("the server broke off", e))
        };
        let (ended, ()) = futures::join!(serve, self.work());
        self.settle().await;
        ended
    }

    /// Does due work until the process is told to stop, if this process is to.
    async fn work(&self) {
        let worker = &self.config.worker;
        if worker.enabled {
            let settings = worker::Settings {
                concurrency: worker.concurrency,
                lease: worker.lease(),
                poll: worker.poll(),
                stop_within: Duration::from_secs(self.config.shutdown_timeout_s),
                replaced_grace_s: self.config.storage.replaced_grace_s(),
                orphan_age_s: self.config.storage.orphan_age_s(),
                export_folder: self.config.export.folder.clone(),
            };
            let worker = Worker::new(self.archive.in_background(), settings);
            let stopping = self.stopping.clone();
            let working = self.background.handle();
            let working = working.spawn(async move { worker.run(stopping).await });
            if let Err(error) = working.await {
                tracing::error!(%error, "due work is done no more until the next start");
            }
        }
    }

    /// Starts keeping metrics.
    fn metrics(&self) -> Result<Metrics> {
        let handle = Telemetry::metrics()?;
        let (upkeep, archive) = (handle.clone(), self.archive.clone());
        Handle::current().spawn(async move {
            let mut tick = tokio::time::interval(UPKEEP);
            loop {
                tick.tick().await;
                #[expect(clippy::cast_precision_loss, reason = "a count of a few")]
                metrics::gauge!("kura_stores_under_way").set(archive.stores_under_way() as f64);
                upkeep.run_upkeep();
            }
        });
        Ok(Metrics::of(handle))
    }

    /// Waits until what was complete of every store is sealed, after the server has ended.
    async fn settle(&self) {
        let limit = Duration::from_secs(self.config.shutdown_timeout_s.max(1));
        if !self.archive.settled(limit).await {
            tracing::warn!("stopped while a store was being sealed: its sender was told nothing");
        }
    }
}

/// Chooses what the process encrypts with and how it reaches object stores: once, before anything else (stack.md 2.4). Two
/// providers of TLS are in the tree, so that none is taken by itself.
pub fn install_providers() {
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    debug_assert!(installed.is_ok(), "the provider of TLS was chosen twice");
    crate::storage::install_transport();
}

impl App {
    /// Who may sign tokens. The keys of identity providers are fetched from now on, each by a loop of its own.
    fn issuers(&self) -> Result<Vec<Issuer>> {
        let mut issuers = Vec::new();
        let auth = &self.config.auth;
        if auth.local_issuer {
            if !auth.issuers.is_empty() {
                tracing::warn!(
                    "tokens signed with the key in the data folder are accepted beside those of identity providers; \
                     leave auth.local_issuer out to end that"
                );
            }
            issuers.push(self.key.issuer());
        }
        for written in &auth.issuers {
            let provider = Arc::new(provider(written, self.archive.clock())?);
            let loops = Arc::clone(&provider);
            Handle::current().spawn(async move { loops.keep_fresh().await });
            issuers.push(Issuer {
                name: written.issuer.clone(),
                keys: Keys::Of(provider),
                algorithms: written.algorithms.clone(),
                audience: written.audience.clone(),
                facilities: written.facilities.clone(),
                header_type: written.header_type,
                max_life_s: written.max_life_s,
                ceiling: written.ceiling,
                clients: written.clients.clone(),
            });
        }
        Ok(issuers)
    }
}

/// Asks every identity provider of `config` for its keys, once.
///
/// # Errors
/// `Kind::Invalid` with one line for the first that does not give any.
pub async fn check_issuers(config: &Config) -> Result<()> {
    for written in &config.auth.issuers {
        let fetched = provider(written, &Clock::System)?.fetch_once().await;
        fetched.map_err(|error| {
            let name = &written.issuer;
            Error::invalid(format!(
                "the identity provider {name} gives no keys: {error}"
            ))
        })?;
    }
    Ok(())
}

/// Finds the facility of every legacy listener.
///
/// # Errors
/// `Kind::Invalid` with one line for the first that is not there.
pub async fn check_legacy(config: &Config, index: &Index) -> Result<()> {
    for (at, LegacyAt { legacy, .. }) in config.legacy.iter().enumerate() {
        let code = &legacy.facility;
        if index.facility_by_code(code).await?.is_none() {
            return Err(Error::invalid(format!(
                "configuration: mint.legacy[{at}].facility is {code}, which is no facility here; kura facility add {code} makes it one"
            )));
        }
    }
    Ok(())
}

fn provider(written: &IssuerConfig, clock: &Clock) -> Result<Provider> {
    let jwks_uri = written.jwks_uri.as_deref();
    Provider::new(&written.issuer, jwks_uri, written.max_life_s, clock.clone())
}

fn bind(listen: &str, key: &str) -> Result<Vec<TcpListener>> {
    http::server::bind(listen)
        .map_err(|e| Error::invalid(format!("cannot listen on {listen}: {e}; set {key}")))
}

/// Makes the data folder.
pub(crate) fn make_data_folder(config: &Config) -> Result<()> {
    std::fs::create_dir_all(&config.data).map_err(|e| {
        Error::invalid(format!(
            "the data folder cannot be made: {e}; set KURA_DATA"
        ))
        .with_source(e)
    })
}
