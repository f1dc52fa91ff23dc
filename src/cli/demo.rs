//! `kura demo`: three facilities with sample studies, to look around in.

use super::sample::{self, SampleFacility};
use super::token::{self, TokenArgs};
use crate::app::App;
use crate::archive::ingest::{Ingest, Input, Options};
use crate::auth::access::Duty;
use crate::auth::{Access, StoreGrant};
use crate::error::{Error, Kind, Result};
use crate::model::{Facility, FacilityCode, FacilityKind};

/// The role of the tokens that are printed: reads images and reports, stores into its own facility.
const ROLE: &str = "radiologist";

/// Fills the archive with what is missing, says where to look, and serves.
#[expect(
    clippy::print_stdout,
    reason = "addresses and tokens are the result of the command"
)]
pub(super) async fn run(app: &App) -> Result<()> {
    token::check_local_issuer(app)?;
    let (server, address) = app.listen()?;
    let base = app
        .config()
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{address}"));
    fill(app, &base).await?;
    println!("kura demo: sample studies of three facilities; nobody in them is real\n");
    println!("  page      {base}/");
    println!("  manual    {base}/docs");
    println!("  DICOMweb  {base}/dicomweb\n");
    for facility in &sample::FACILITIES {
        let token = token::mint(
            app.key(),
            app.archive().clock(),
            &token_of(facility).request()?,
        )?;
        println!(
            "  {} {} ({})\n  {token}\n",
            facility.code, facility.english_name, facility.name
        );
    }
    println!("Paste a token into the page, or ask from a shell:\n");
    println!("  curl -H 'Authorization: Bearer TOKEN' {base}/dicomweb/studies\n");
    println!("The tokens live for 12 hours. Ctrl-C stops.");
    app.run(server).await
}

fn token_of(facility: &SampleFacility) -> TokenArgs {
    TokenArgs {
        facility: facility.code.to_owned(),
        role: vec![ROLE.to_owned()],
        scope: None,
        subject: Some("demo".to_owned()),
        ttl: "12h".to_owned(),
    }
}

/// Stores the samples; those that are there already are known by their bytes (T21).
async fn fill(app: &App, base: &str) -> Result<()> {
    let mut store: Option<(&'static str, Ingest)> = None;
    for (code, file) in sample::files() {
        if store.as_ref().is_none_or(|(open, _)| *open != code) {
            if let Some((_, ingest)) = store.take() {
                finish(ingest).await?;
            }
            let options = Options {
                study: None,
                base_url: format!("{base}/dicomweb"),
            };
            store = Some((code, app.archive().ingest(grant(app, code).await?, options)));
        }
        if let Some((_, ingest)) = &mut store {
            for input in [Input::Start, Input::Data(file.into()), Input::End] {
                ingest.send(input).await;
            }
        }
    }
    match store {
        Some((_, ingest)) => finish(ingest).await,
        None => Ok(()),
    }
}

async fn finish(ingest: Ingest) -> Result<()> {
    let outcomes = ingest.finish().await?;
    if outcomes
        .iter()
        .all(crate::dicom::store_response::StoreOutcome::is_stored)
    {
        return Ok(());
    }
    Err(Error::new(
        Kind::Conflict,
        "the data folder holds other studies under the names of the samples; choose another with --data",
    ))
}

/// Leave to store into a facility of the samples, which is made if it is not there.
async fn grant(app: &App, code: &str) -> Result<StoreGrant> {
    Access::on_duty(Duty::Samples, facility(app, code).await?).may_store_into_own()
}

async fn facility(app: &App, code: &str) -> Result<Facility> {
    let index = app.archive().index();
    let code = FacilityCode::parse(code)
        .ok_or_else(|| Error::new(Kind::Internal, "a sample facility without a code"))?;
    if let Some(facility) = index.facility_by_code(&code).await? {
        return Ok(facility);
    }
    let sample = sample::FACILITIES
        .iter()
        .find(|sample| sample.code == code.as_str());
    let name = sample.map_or("", |sample| sample.name);
    index
        .add_facility(&code, name, FacilityKind::Member, &[])
        .await
}
