//! `sluice secrets`

use super::args::{SecretsAction, SecretsArgs};
use crate::{
    app,
    config::DatabaseConfig,
    keyfile::{self, Missing},
};

pub async fn run(args: SecretsArgs) -> Result<(), String> {
    let SecretsArgs { database, keys, action } = args;
    let database = DatabaseConfig { url: database.url(), connections: 1 };
    let keyring = keyfile::keyring(&keys.source(), &database.url, Missing::IsWrong)?;
    let store = app::open_database(&database).await.map_err(|error| error.to_string())?;
    let services = super::services(store, keyring);
    services.check_keys().await.map_err(|error| error.to_string())?;
    match action {
        SecretsAction::Rotate => {
            let rotated = services.rotate_keys().await.map_err(super::sentence)?;
            println!("sealed the credentials of {rotated} connections anew");
        }
    }
    Ok(())
}
