//! `kura migrate`: brings the database schema up to date.

use crate::config::Config;
use crate::error::Result;
use crate::index::Index;
use crate::model::Clock;

/// Runs what is missing; says what the schema is then.
pub(super) async fn run(config: Config) -> Result<()> {
    crate::app::make_data_folder(&config)?;
    let index = Index::open(config.database_url.expose(), Clock::System).await?;
    index.migrate().await?;
    eprintln!("the schema is up to date");
    Ok(())
}
