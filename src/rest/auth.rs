//! Who asks: by the token in `Authorization` (RFC 6750), or by where it asks from.

use std::{net::IpAddr, sync::Arc};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError,
    dev::Payload,
    http::{
        StatusCode,
        header::{HOST, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    web::Data,
};
use futures_util::future::LocalBoxFuture;

use super::{
    crowd::{Crowd, Full, Kind, Place},
    error::refused,
    problem::ProblemDocument,
};
use crate::{
    domain::{
        access::{Caller, Openness},
        denial::Denial,
    },
    services::{self, Error, Services},
};

/// When to come back, in seconds, for who has too much under way.
const SOON: &str = "1";

/// The `Authorization` header of a request, which its head no longer has.
#[derive(Debug)]
pub struct Shown(pub HeaderValue);

/// What the head of a request says about who sends it.
#[derive(Debug)]
pub struct Credentials {
    token: Option<String>,
    home: Home,
}

/// Whether the client is on the same machine, as far as the head of its request tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// It knows the server by a name that always means the machine itself.
    Here,
    /// It uses another name: a page in a browser can reach a server at home under a name of its own that leads
    /// there (DNS rebinding).
    OtherName,
    /// The request came through a proxy, and so from anywhere.
    ThroughProxy,
}

/// What proxies add to a request.
const BY_PROXIES: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/// Why a request is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Turned {
    /// It shows no token.
    #[error("show a token, as `Authorization: Bearer sluice_…`; `sluice token create` makes one")]
    NoToken,
    /// It shows something that is no token, or is no longer good: which of these, it is not told.
    #[error("this token is unknown, expired or revoked; `sluice token create` makes another one")]
    BadToken(Denial),
    /// It came under another name than that of the machine itself, or through a proxy.
    #[error(
        "without a token, only requests to localhost that come through no proxy are answered; \
         `sluice token create` makes a token"
    )]
    ForeignHost(Denial),
    /// It wants a WebSocket for a page of another host.
    #[error(
        "a page of another host may not open a WebSocket here: `Origin` differs from `Host`, and is none \
         that --allow-origin names"
    )]
    ForeignOrigin,
    /// It has as much under way as it may.
    #[error(transparent)]
    Crowded(#[from] Full),
    /// That could not be found out.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Credentials {
    /// What the head of this request says.
    pub fn of(request: &HttpRequest) -> Result<Self, Turned> {
        let token = match request.extensions().get::<Shown>() {
            None => None,
            Some(Shown(header)) => {
                let header = header.to_str().unwrap_or_default();
                Some(bearer(header).ok_or(Turned::BadToken(Denial::UnknownToken))?.to_owned())
            }
        };
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let by_proxy = BY_PROXIES.iter().any(|name| request.headers().contains_key(*name));
        let home = match (host.is_some_and(is_loopback), by_proxy) {
            (true, false) => Home::Here,
            (true, true) => Home::ThroughProxy,
            (false, _) => Home::OtherName,
        };
        Ok(Self { token, home })
    }

    /// The same with a token that is shown later, if one is.
    pub fn or_token(&self, later: Option<&str>) -> Self {
        let token = later.map(str::to_owned).or_else(|| self.token.clone());
        Self { token, home: self.home }
    }

    /// Whether a token was shown.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Who it is.
    pub async fn admit(&self, services: &Services) -> Result<Arc<Caller>, Turned> {
        match &self.token {
            Some(token) => services.admit(token).await?.map_err(Turned::BadToken),
            None => {
                let caller = services.admit_anybody().await?.ok_or(Turned::NoToken)?;
                match (services.openness(), self.home) {
                    (Openness::ToAnybody | Openness::ToNobody, _) | (Openness::AtHome, Home::Here) => {
                        Ok(caller)
                    }
                    (Openness::AtHome, Home::OtherName) => Err(Turned::ForeignHost(Denial::ForeignHost)),
                    (Openness::AtHome, Home::ThroughProxy) => Err(Turned::ForeignHost(Denial::Proxied)),
                }
            }
        }
    }
}

/// The address that a request comes from.
pub fn from(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|address| address.ip())
}

/// The token of an `Authorization` header.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a `Host` means the machine itself, whatever a name server says (RFC 6761, section 6.3).
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

impl Turned {
    /// Why it is; `None`: the fault is not the client's.
    fn denial(&self) -> Option<Denial> {
        match self {
            Self::NoToken => Some(Denial::NoToken),
            Self::BadToken(denial) | Self::ForeignHost(denial) => Some(*denial),
            Self::ForeignOrigin => Some(Denial::ForeignOrigin),
            Self::Crowded(_) => Some(Denial::TooManyRequests),
            Self::Failed(_) => None,
        }
    }

    /// What the client is told: the status, the code for programs, and the message.
    pub fn told(&self) -> (StatusCode, &'static str, String) {
        let status = match self {
            Self::NoToken | Self::BadToken(_) => StatusCode::UNAUTHORIZED,
            Self::ForeignHost(_) | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Crowded(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        match self.denial() {
            Some(denial) => (status, denial.code(), self.to_string()),
            None => (status, services::UNAVAILABLE.0, services::UNAVAILABLE.1.to_owned()),
        }
    }

    /// Tells the client how to mend it, in the response's head.
    pub fn challenge(&self, response: &mut HttpResponseBuilder) {
        match self {
            Self::NoToken => {
                response.insert_header((WWW_AUTHENTICATE, r#"Bearer realm="sluice""#));
            }
            Self::BadToken(_) => {
                response.insert_header((WWW_AUTHENTICATE, r#"Bearer realm="sluice", error="invalid_token""#));
            }
            Self::Crowded(_) => {
                response.insert_header((RETRY_AFTER, SOON));
            }
            Self::ForeignHost(_) | Self::ForeignOrigin | Self::Failed(_) => {}
        }
    }

    /// Counts it, and writes down from where it came.
    pub fn note(&self, services: &Services, from: Option<IpAddr>) {
        match self.denial() {
            Some(denial) => services.turned_away(from, denial),
            None => tracing::warn!(error = %self, "could not find out whether to let a request in"),
        }
    }
}

/// Who asks, for handlers that answer with problem documents. It has a place in the crowd until it is dropped.
pub struct Asking {
    /// Who it is.
    pub caller: Arc<Caller>,
    from: Option<IpAddr>,
    #[expect(dead_code, reason = "dropping it leaves the place")]
    place: Place,
}

impl Asking {
    /// The answer to what was asked for.
    pub fn answer(&self, services: &Services, result: Result<HttpResponse, Error>) -> HttpResponse {
        if let Err(Error::Forbidden(_)) = result {
            services.turned_away(self.from, Denial::Forbidden);
        }
        result.unwrap_or_else(refused)
    }
}

impl FromRequest for Asking {
    type Error = Turned;
    type Future = LocalBoxFuture<'static, Result<Self, Turned>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let services = request.app_data::<Data<Services>>().ok_or(Turned::NoToken)?;
            let crowd = request.app_data::<Data<Crowd>>().ok_or(Turned::NoToken)?;
            let from = from(&request);
            let admitted = async {
                let caller = Credentials::of(&request)?.admit(services).await?;
                let place = crowd.enter(&caller, Kind::Request)?;
                Ok(Self { caller, from, place })
            };
            admitted.await.inspect_err(|turned: &Turned| turned.note(services, from))
        })
    }
}

impl ResponseError for Turned {
    fn status_code(&self) -> StatusCode {
        self.told().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, code, message) = self.told();
        let mut response = HttpResponse::build(status);
        self.challenge(&mut response);
        ProblemDocument::new(status, code, message).build(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_machine_itself_are_at_home() {
        for host in [
            "localhost",
            "localhost:8000",
            "LOCALHOST.",
            "x.localhost:1",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:8000",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "0.0.0.0",
            "[::2]",
            "[",
            ":80",
            "notlocalhost",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_bearer_token_is_read_whatever_the_case_of_the_scheme() {
        assert_eq!(bearer("Bearer x"), Some("x"));
        assert_eq!(bearer("bearer   x "), Some("x"));
        assert_eq!(bearer("Basic eDp5"), None);
        assert_eq!(bearer("x"), None);
    }
}
