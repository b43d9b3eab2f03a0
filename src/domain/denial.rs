//! Why somebody was turned away.

/// Why somebody was not let in, or may not do something. Who looks after a server is told; a client is told no more
/// than [`code`](Self::code) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// It showed no token.
    NoToken,
    /// What it showed is no token that there ever was.
    UnknownToken,
    /// Its token has expired.
    ExpiredToken,
    /// Its token was revoked.
    RevokedToken,
    /// The issuer that is trusted does not vouch for its JSON Web Token, or no longer.
    BadJwt,
    /// It showed no token, and knows the server at home under the name of another host.
    ForeignHost,
    /// It showed no token, and came to the server at home through a proxy.
    Proxied,
    /// It is a page of another host that is not allowed to.
    ForeignOrigin,
    /// Its role does not let it do what it wanted.
    Forbidden,
    /// It has as much under way as it may.
    TooManyRequests,
}

impl Denial {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::NoToken,
        Self::UnknownToken,
        Self::ExpiredToken,
        Self::RevokedToken,
        Self::BadJwt,
        Self::ForeignHost,
        Self::Proxied,
        Self::ForeignOrigin,
        Self::Forbidden,
        Self::TooManyRequests,
    ];

    /// The name that metrics and logs use.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::UnknownToken => "unknown_token",
            Self::ExpiredToken => "expired_token",
            Self::RevokedToken => "revoked_token",
            Self::BadJwt => "bad_jwt",
            Self::ForeignHost => "foreign_host",
            Self::Proxied => "proxied",
            Self::ForeignOrigin => "foreign_origin",
            Self::Forbidden => "forbidden",
            Self::TooManyRequests => "too_many_requests",
        }
    }

    /// The code that a client is told, which does not help to guess a token.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoToken | Self::UnknownToken | Self::ExpiredToken | Self::RevokedToken | Self::BadJwt => {
                "UNAUTHENTICATED"
            }
            Self::ForeignHost | Self::Proxied => "FOREIGN_HOST",
            Self::ForeignOrigin => "FOREIGN_ORIGIN",
            Self::Forbidden => "FORBIDDEN",
            Self::TooManyRequests => "TOO_MANY_REQUESTS",
        }
    }
}
