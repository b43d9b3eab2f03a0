//! Who is let in on a socket.
//!
//! Browsers can't set headers when they open a WebSocket, so a token may come with `connection_init`,
//! too: `{ "Authorization": "Bearer sluice_…" }`.

use std::{net::IpAddr, sync::Arc};

use actix_web::{HttpRequest, http::header};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::{
    config::Origin,
    domain::{access::Caller, denial::Denial},
    http::graphql::Served,
    rest::{
        auth::{self, Credentials, Turned, bearer},
        crowd::{Crowd, Kind, Place},
    },
    services::Services,
};

/// What is known of a client before it says `connection_init`.
pub struct Door {
    services: Arc<Services>,
    crowd: Arc<Crowd>,
    credentials: Credentials,
    from: Option<IpAddr>,
}

impl Door {
    /// A page of another host is not let in, and a bad token in the head of the request ends it at once.
    pub async fn of(request: &HttpRequest, served: &Served) -> Result<Self, Turned> {
        if is_foreign(request, &served.origins) {
            return Err(Turned::ForeignOrigin);
        }
        let credentials = Credentials::of(request)?;
        if credentials.has_token() {
            credentials.admit(&served.services).await?;
        }
        let (services, crowd) = (served.services.clone(), served.crowd.clone());
        Ok(Self { services, crowd, credentials, from: auth::from(request) })
    }

    /// Who it is that says `connection_init` with this payload, and a place for its socket.
    pub async fn admit(&self, payload: Option<&Map<String, Value>>) -> Result<(Arc<Caller>, Place), Turned> {
        let admitted = async {
            let caller = self.caller(payload).await?;
            let place = self.crowd.enter(&caller, Kind::Live)?;
            Ok((caller, place))
        };
        admitted.await.inspect_err(|turned: &Turned| turned.note(&self.services, self.from))
    }

    async fn caller(&self, payload: Option<&Map<String, Value>>) -> Result<Arc<Caller>, Turned> {
        let shown = payload.and_then(|payload| {
            let named = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case("authorization");
            payload.iter().find(named).map(|(_, value)| value.as_str().unwrap_or_default())
        });
        let token = match shown {
            None => None,
            Some(shown) => Some(bearer(shown).ok_or(Turned::BadToken(Denial::UnknownToken))?),
        };
        self.credentials.or_token(token).admit(&self.services).await
    }

    /// Where the client is.
    pub fn from(&self) -> Option<IpAddr> {
        self.from
    }

    /// Waits until the client may no longer be served.
    pub fn leaves(&self, caller: Arc<Caller>) -> BoxFuture<'static, ()> {
        Box::pin(self.services.leaves(caller))
    }
}

/// Whether a browser sends this on behalf of a page of another host that is not allowed to. Browsers let any page open a
/// WebSocket to anywhere, and say only where the page is from.
fn is_foreign(request: &HttpRequest, allowed: &[Origin]) -> bool {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(origin) = header(header::ORIGIN) else { return false };
    if allowed.iter().any(|allowed| origin.eq_ignore_ascii_case(allowed.as_str())) {
        return false;
    }
    let Some((scheme, host)) = origin.split_once("://") else { return true };
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let without_port = |host: &str| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    header(header::HOST).is_none_or(|own| without_port(own) != without_port(host))
}
