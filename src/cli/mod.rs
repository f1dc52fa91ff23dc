//! The command line: one file a command, one line on failure, results on standard output and everything else on standard
//! error (product.md 4).

mod check;
mod demo;
mod export;
mod facility;
mod import;
mod migrate;
mod openapi;
mod progress;
mod reindex;
pub mod sample;
mod serve;
pub mod token;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::App;
use crate::config::{Config, Flags};
use crate::error::{Error, Kind, Result};
use crate::model::{Facility, FacilityCode};
use crate::telemetry;

/// A vendor-neutral archive for the medical images of a group of hospitals
#[derive(Debug, Parser)]
#[command(name = "kura", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve sample studies of three facilities, to look around
    Demo,
    /// Serve the archive
    Serve(serve::Args),
    /// Bring the database schema up to date
    Migrate,
    /// Add or list facilities
    #[command(subcommand)]
    Facility(facility::Command),
    /// Print a token signed with the local key
    Token(token::TokenArgs),
    /// Store the DICOM files below folders
    Import(import::Args),
    /// Write the files of a facility into a folder, with their digests
    Export(export::Args),
    /// Compare the index with what is stored, and both with their digests
    Verify(verify::Args),
    /// Rebuild a lost index from what is stored
    Reindex(reindex::Args),
    /// Print the OpenAPI document
    Openapi,
}

/// Runs the command that the process was called with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(error) => {
            tracing::debug!(cause = ?std::error::Error::source(&error), "failed");
            eprintln!("kura: {error}");
            exit_code(error.kind())
        }
    }
}

/// 2 for what the caller can mend by calling otherwise, 1 for the rest.
fn exit_code(kind: Kind) -> ExitCode {
    match kind {
        Kind::Invalid | Kind::Unprocessable | Kind::NotFound | Kind::Conflict => ExitCode::from(2),
        Kind::Unauthenticated
        | Kind::StepUp
        | Kind::Forbidden
        | Kind::Gone
        | Kind::Precondition
        | Kind::PreconditionRequired
        | Kind::TooLarge
        | Kind::UnsupportedType
        | Kind::NotAcceptable
        | Kind::BadRange
        | Kind::TooMany
        | Kind::NotImplemented
        | Kind::Recalling
        | Kind::Unavailable
        | Kind::Full
        | Kind::Internal => ExitCode::FAILURE,
    }
}

fn start(cli: Cli) -> Result<ExitCode> {
    if matches!(cli.command, Command::Openapi) {
        return openapi::run().map(done);
    }
    let config = Config::load(&cli.flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::internal("the threads cannot be started", e))?;
    let telemetry = telemetry::init(&config, runtime.handle())?;
    let ended = runtime.block_on(run_command(config, cli.command));
    telemetry.end();
    ended
}

async fn run_command(config: Config, command: Command) -> Result<ExitCode> {
    match command {
        Command::Migrate => migrate::run(config).await.map(done),
        Command::Demo => demo::run(&App::open(config).await?).await.map(done),
        Command::Serve(arguments) => serve::run(config, &arguments).await.map(done),
        Command::Facility(command) => {
            let app = App::open(config).await?;
            facility::run(&app, command).await.map(done)
        }
        Command::Token(arguments) => {
            let app = App::open(config).await?;
            token::run(&app, arguments).await.map(done)
        }
        Command::Import(arguments) => import::run(&App::open(config).await?, arguments).await,
        Command::Export(arguments) => export::run(&App::open(config).await?, arguments).await,
        Command::Verify(arguments) => verify::run(&App::open(config).await?, &arguments).await,
        Command::Reindex(arguments) => reindex::run(&App::open(config).await?, &arguments).await,
        Command::Openapi => openapi::run().map(done),
    }
}

/// The exit code of a command that can only succeed or fail.
fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// The exit code of a command that reports what it found: 1 if something was wrong.
fn found(is_wrong: bool) -> ExitCode {
    if is_wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The facility of a code that was typed.
async fn facility_of(app: &App, code: &str) -> Result<Facility> {
    let code = FacilityCode::parse(code)
        .ok_or_else(|| Error::invalid("a facility code is 2 to 16 capital letters and digits"))?;
    let facility = app.archive().index().facility_by_code(&code).await?;
    facility.ok_or_else(|| {
        Error::invalid(format!(
            "no facility {code}; `kura facility list` shows them, `kura facility add` makes one"
        ))
    })
}

/// The root under which links of bulk data are written by a command, which has no request to take it from.
fn base_url(app: &App) -> String {
    let config = app.config();
    let root = config
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{}", config.listen));
    format!("{root}/dicomweb")
}
