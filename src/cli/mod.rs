//! The command line: one file a command, one line on failure, results on standard output and everything else on standard
//! error (product.md 4).

mod demo;
mod facility;
mod migrate;
mod openapi;
pub mod sample;
mod serve;
pub mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::App;
use crate::config::{Config, Flags};
use crate::error::{Error, Kind, Result};
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
    /// Print the OpenAPI document
    Openapi,
}

/// Runs the command that the process was called with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
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

fn start(cli: Cli) -> Result<()> {
    if matches!(cli.command, Command::Openapi) {
        return openapi::run();
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

async fn run_command(config: Config, command: Command) -> Result<()> {
    match command {
        Command::Migrate => migrate::run(config).await,
        Command::Demo => demo::run(&App::open(config).await?).await,
        Command::Serve(arguments) => serve::run(config, &arguments).await,
        Command::Facility(command) => facility::run(&App::open(config).await?, command).await,
        Command::Token(arguments) => token::run(&App::open(config).await?, arguments).await,
        Command::Openapi => openapi::run(),
    }
}
