//! Who is let in on a socket.
//!
//! Browsers can't set headers when they open a WebSocket, so a token may come with `connection_init`,
//! too: `{ "Authorization": "Bearer sluice_…" }`.

use std::{net::IpAddr, sync::Arc};

use actix_web::HttpRequest;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::{
    domain::access::Caller,
    http::{
        crowd::{Crowd, Full, Kind, Place},
        graphql::Served,
    },
    rest::auth::{Credentials, Turned, bearer},
    services::Services,
};

/// What is known of a client before it says `connection_init`.
pub struct Door {
    services: Arc<Services>,
    crowd: Arc<Crowd>,
    credentials: Credentials,
}

impl Door {
    /// A bad token in the head of the request ends it at once.
    pub async fn of(request: &HttpRequest, served: &Served) -> Result<Self, Turned> {
        let credentials = Credentials::of(request)?;
        if credentials.has_token() {
            credentials.admit(&served.services).await?;
        }
        Ok(Self { services: served.services.clone(), crowd: served.crowd.clone(), credentials })
    }

    /// Who it is that says `connection_init` with this payload.
    pub async fn admit(&self, payload: Option<&Map<String, Value>>) -> Result<Arc<Caller>, Turned> {
        let shown = payload.and_then(|payload| {
            let named = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case("authorization");
            payload.iter().find(named).map(|(_, value)| value.as_str().unwrap_or_default())
        });
        let token = match shown {
            None => None,
            Some(shown) => Some(bearer(shown).ok_or(Turned::BadToken)?),
        };
        self.credentials.or_token(token).admit(&self.services).await
    }

    /// A place for the socket of this caller.
    pub fn enter(&self, caller: &Caller) -> Result<Place, Full> {
        self.crowd.enter(caller, Kind::Live)
    }

    /// Where the client is.
    pub fn from(&self) -> Option<IpAddr> {
        self.credentials.from()
    }

    /// Waits until the client may no longer be served.
    pub fn leaves(&self, caller: Arc<Caller>) -> BoxFuture<'static, ()> {
        Box::pin(self.services.leaves(caller))
    }
}
