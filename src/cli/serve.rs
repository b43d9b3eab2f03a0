//! `sluice serve`

use super::args::ServeArgs;
use crate::{
    app::{self, Application},
    clock::Clock,
    config::Demo,
    telemetry,
};

pub async fn run(args: ServeArgs) -> Result<(), String> {
    telemetry::init();
    let config = args.into_config();
    let listener = app::listen(&config).map_err(|error| error.to_string())?;
    let store = app::open(&config).await.map_err(|error| error.to_string())?;
    let stop = stop_signal().map_err(|error| format!("cannot hear signals: {error}"))?;
    let application = Application::build(listener, store, Clock::System, &config, stop)
        .await
        .map_err(|error| error.to_string())?;
    let address = application.address();
    println!("Sluice answers on http://{address}/graphql, with {}", config.database.url);
    println!("GraphiQL: http://{address}/graphiql");
    match config.demo {
        Demo::On => println!("A demonstration goes on in the tenant named demo"),
        Demo::Off => {}
    }
    application.run_until_stopped().await.map_err(|error| error.to_string())?;
    println!("Sluice has stopped");
    Ok(())
}

/// SIGINT (Ctrl-C) or SIGTERM. They are heard from the moment this returns: whoever has read that the
/// server answers may stop it at once.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
