//! Who asks: by the token in `Authorization` (RFC 6750), or by where it asks from.

use std::{net::IpAddr, sync::Arc};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError,
    dev::Payload,
    http::{
        StatusCode,
        header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE},
    },
    web::Data,
};
use futures_util::future::LocalBoxFuture;

use super::{error::refused, problem::ProblemDocument};
use crate::{
    domain::access::{Caller, Openness},
    services::{Error, Services},
};

/// What the head of a request says about who sends it.
#[derive(Debug)]
pub struct Credentials {
    token: Option<String>,
    home: Home,
    from: Option<IpAddr>,
}

/// Whether the client is on the same machine, as far as the head of its request tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// It knows the server by a name that always means the machine itself.
    Here,
    /// It uses another name: a page in a browser can reach a server at home under a name of its own that leads
    /// there (DNS rebinding). Or the request came through a proxy, and so from anywhere.
    Elsewhere,
}

/// What proxies add to a request.
const BY_PROXIES: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/// Why a request is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Turned {
    /// It shows no token.
    #[error("show a token, as `Authorization: Bearer sluice_…`; `sluice token create` makes one")]
    NoToken,
    /// It shows something that is no token, or is no longer good.
    #[error("this token is unknown, expired or revoked; `sluice token create` makes another one")]
    BadToken,
    /// It came under another name than that of the machine itself, or through a proxy.
    #[error(
        "without a token, only requests to localhost that come through no proxy are answered; \
         `sluice token create` makes a token"
    )]
    ForeignHost,
    /// That could not be found out.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Credentials {
    /// What the head of this request says.
    pub fn of(request: &HttpRequest) -> Result<Self, Turned> {
        let header = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let token = match header {
            None => None,
            Some(header) => Some(bearer(header).ok_or(Turned::BadToken)?.to_owned()),
        };
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let by_proxy = BY_PROXIES.iter().any(|name| request.headers().contains_key(*name));
        let home = if host.is_some_and(is_loopback) && !by_proxy { Home::Here } else { Home::Elsewhere };
        Ok(Self { token, home, from: from(request) })
    }

    /// The same with a token that is shown later, if one is.
    pub fn or_token(&self, later: Option<&str>) -> Self {
        let token = later.map(str::to_owned).or_else(|| self.token.clone());
        Self { token, home: self.home, from: self.from }
    }

    /// Whether a token was shown.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Where it comes from.
    pub fn from(&self) -> Option<IpAddr> {
        self.from
    }

    /// Who it is.
    pub async fn admit(&self, services: &Services) -> Result<Arc<Caller>, Turned> {
        match &self.token {
            Some(token) => services.admit(token).await?.ok_or(Turned::BadToken),
            None => {
                let caller = services.admit_anybody().await?.ok_or(Turned::NoToken)?;
                match services.openness() {
                    Openness::AtHome if self.home == Home::Elsewhere => Err(Turned::ForeignHost),
                    Openness::AtHome | Openness::ToAnybody | Openness::ToNobody => Ok(caller),
                }
            }
        }
    }
}

fn from(request: &HttpRequest) -> Option<IpAddr> {
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
    /// The status, and the code for programs.
    pub fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoToken | Self::BadToken => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Self::ForeignHost => (StatusCode::FORBIDDEN, "FOREIGN_HOST"),
            Self::Failed(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        }
    }

    /// Tells the client how to mend it, in the response's head.
    pub fn challenge(&self, response: &mut HttpResponseBuilder) {
        match self {
            Self::NoToken => {
                response.insert_header((WWW_AUTHENTICATE, r#"Bearer realm="sluice""#));
            }
            Self::BadToken => {
                response.insert_header((WWW_AUTHENTICATE, r#"Bearer realm="sluice", error="invalid_token""#));
            }
            Self::ForeignHost | Self::Failed(_) => {}
        }
    }

    /// Writes down that somebody was turned away, and from where it came.
    pub fn log(&self, from: Option<IpAddr>) {
        let from = from.map(|address| address.to_string()).unwrap_or_default();
        let (_, code) = self.status();
        tracing::warn!(from, code, "a request was not let in");
    }

    /// The same for who has sent this request.
    pub fn log_request(&self, request: &HttpRequest) {
        self.log(from(request));
    }
}

/// Who asks, for the handlers of REST.
pub struct Asking(pub Arc<Caller>);

impl FromRequest for Asking {
    type Error = Turned;
    type Future = LocalBoxFuture<'static, Result<Self, Turned>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let admitted = async {
                let services = request.app_data::<Data<Services>>().ok_or(Turned::NoToken)?;
                Credentials::of(&request)?.admit(services).await
            };
            admitted.await.map(Self).inspect_err(|turned| turned.log_request(&request))
        })
    }
}

impl ResponseError for Turned {
    fn status_code(&self) -> StatusCode {
        self.status().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, code) = self.status();
        match self {
            Self::Failed(error) => refused(error.share()),
            Self::NoToken | Self::BadToken | Self::ForeignHost => {
                let mut response = HttpResponse::build(status);
                self.challenge(&mut response);
                ProblemDocument::new(status, code, self.to_string()).build(response)
            }
        }
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
