//! `sluice serve`

use super::args::ServeArgs;
use crate::{
    app::{self, Application},
    clock::Clock,
    telemetry,
};

pub async fn run(args: ServeArgs) -> Result<(), String> {
    telemetry::init();
    let config = args.into_config();
    let listener = app::listen(&config).map_err(|error| error.to_string())?;
    let store = app::open(&config).await.map_err(|error| error.to_string())?;
    let application = Application::build(listener, store, Clock::System, &config, stop_signal())
        .map_err(|error| error.to_string())?;
    let address = application.address();
    println!("Sluice answers on http://{address}/graphql, with {}", config.database.url);
    println!("GraphiQL: http://{address}/graphiql");
    application.run_until_stopped().await.map_err(|error| error.to_string())?;
    println!("Sluice has stopped");
    Ok(())
}

/// SIGINT (Ctrl-C) or SIGTERM.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = interrupt => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM can't be heard");
                let _ = interrupt.await;
            }
        }
    }
    #[cfg(not(unix))]
    {
        let _ = interrupt.await;
    }
}
