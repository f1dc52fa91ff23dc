//! `kura serve`: the archive, until it is told to stop.

use tracing::info;

use crate::app::App;
use crate::config::Config;
use crate::error::Result;

/// How to serve.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Check the configuration, say what would be used and whether it can be reached, and exit
    #[arg(long)]
    check: bool,
}

/// Serves until SIGINT or SIGTERM; requests in flight are finished.
pub(super) async fn run(config: Config, arguments: &Args) -> Result<()> {
    if arguments.check {
        crate::app::check_issuers(&config).await?;
        return Box::pin(super::check::run(&config)).await;
    }
    let app = App::open(config).await?;
    crate::app::check_legacy(app.config(), app.archive().index()).await?;
    let (server, address) = app.listen()?;
    info!(
        address = %format_args!("http://{address}"),
        database = %app.config().database_url,
        storage = %app.config().storage_url,
        "listening"
    );
    app.run(server).await?;
    info!("stopped");
    Ok(())
}
