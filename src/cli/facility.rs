//! `kura facility`: the first facilities, before anybody can sign in.

use clap::{Args, Subcommand, ValueEnum};

use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::model::policy::POLICY_KEYS;
use crate::model::{FacilityCode, FacilityKind, FacilityPolicy};

/// What to do with facilities.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a facility
    Add(Add),
    /// List the facilities: code, kind, state, name
    List,
    /// Show what a facility takes: one `key=value` a line
    Show {
        /// Code of the facility
        code: String,
    },
    /// Change what a facility takes; an empty value takes the rule back
    Set {
        /// Code of the facility
        code: String,
        /// `refused_sop_classes` and `refused_transfer_syntaxes`: UIDs between commas; `max_instance_bytes`,
        /// `max_request_bytes` and `quota_bytes`: bytes, as in 64M or 2G; `on_conflict`: reject, replace or
        /// keep-both-versions
        #[arg(required = true, value_name = "KEY=VALUE")]
        rules: Vec<String>,
    },
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
        Command::Show { code } => show(app, &code).await,
        Command::Set { code, rules } => set(app, &code, &rules).await,
    }
}

fn code_of(text: &str) -> Result<FacilityCode> {
    FacilityCode::parse(text).ok_or_else(|| {
        Error::invalid("a facility code is 2 to 16 capital letters and digits, F001 for instance")
    })
}

fn no_facility(code: &FacilityCode) -> Error {
    let detail = format!("no facility {code}; `kura facility list` shows them");
    Error::new(Kind::NotFound, detail)
}

async fn add(app: &App, add: Add) -> Result<()> {
    let code = code_of(&add.code)?;
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

async fn show(app: &App, code: &str) -> Result<()> {
    let code = code_of(code)?;
    let facility = app.archive().index().facility_by_code(&code).await?;
    print(&facility.ok_or_else(|| no_facility(&code))?.policy);
    Ok(())
}

async fn set(app: &App, code: &str, rules: &[String]) -> Result<()> {
    let code = code_of(code)?;
    let change = |policy: &mut FacilityPolicy| {
        for rule in rules {
            let (key, value) = rule
                .split_once('=')
                .ok_or_else(|| format!("{rule} is no key=value"))?;
            policy.set(key, value)?;
        }
        Ok(())
    };
    let changed = app.archive().index().change_policy(&code, change).await;
    let is_missing = |error: &Error| error.kind() == Kind::NotFound;
    let policy = changed.map_err(|error| {
        if is_missing(&error) {
            no_facility(&code)
        } else {
            error
        }
    })?;
    print(&policy);
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the policy is the result of the command"
)]
fn print(policy: &FacilityPolicy) {
    for key in POLICY_KEYS {
        println!("{key}={}", policy.shown(key));
    }
}
