//! `kura facility`: the first facilities, before anybody can sign in.

use clap::{Args, Subcommand, ValueEnum};

use crate::app::App;
use crate::error::{Error, Result};
use crate::model::{FacilityCode, FacilityKind};

/// What to do with facilities.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a facility
    Add(Add),
    /// List the facilities: code, kind, state, name
    List,
}

/// A new facility.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Short unique code: 2 to 16 capital letters and digits
    code: String,
    /// Name for people
    #[arg(long)]
    name: String,
    /// Namespace of its patient numbers, as (0010,0021) writes it; may be given several times, the first is the default
    #[arg(long = "issuer", value_name = "ISSUER")]
    issuers: Vec<String>,
    /// Whether it belongs to the group
    #[arg(long, value_enum, default_value = "member")]
    kind: KindName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindName {
    Member,
    External,
}

/// Runs the command.
pub(super) async fn run(app: &App, command: Command) -> Result<()> {
    match command {
        Command::Add(add) => self::add(app, add).await,
        Command::List => list(app).await,
    }
}

async fn add(app: &App, add: Add) -> Result<()> {
    let code = FacilityCode::parse(&add.code).ok_or_else(|| {
        Error::invalid("a facility code is 2 to 16 capital letters and digits, F001 for instance")
    })?;
    let kind = match add.kind {
        KindName::Member => FacilityKind::Member,
        KindName::External => FacilityKind::External,
    };
    let index = app.archive().index();
    let facility = index
        .add_facility(&code, &add.name, kind, &add.issuers)
        .await?;
    eprintln!("added {} {}", facility.code, facility.name);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the list is the result of the command")]
async fn list(app: &App) -> Result<()> {
    for facility in app.archive().index().facilities().await? {
        println!(
            "{}\t{}\t{}\t{}",
            facility.code,
            facility.kind.as_str(),
            facility.state.as_str(),
            facility.name
        );
    }
    Ok(())
}
