//! An issuer of JSON Web Tokens (RFC 7519) outside of Sluice: whom it vouches for is let in.
//!
//! Its public keys (a JWK set, RFC 7517) are read from a file or an address. They are read again each hour, and when
//! a token names a key that is not among them, so that an issuer can change its keys at any time.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation, decode, decode_header,
    jwk::{JwkSet, KeyAlgorithm},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::{
    access::{Caller, Role},
    id::TenantId,
    problem::At,
    text::Name,
};

/// How far the issuer's clock may be from ours.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);
/// How long keys are believed.
const BELIEVED: TimeDelta = TimeDelta::hours(1);
/// How long to wait before keys are read again for a token that names another one, or because they could not be read.
const AGAIN: TimeDelta = TimeDelta::seconds(10);
/// How long reading them may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest set of keys, in bytes.
const MAX_KEYS: u64 = 1024 * 1024;
/// The tenant claim of who sees all tenants.
const ALL: &str = "*";

/// Which issuer, and how its tokens are read.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// What stands in the claim `iss`.
    pub issuer: String,
    /// What must stand in the claim `aud`.
    pub audience: String,
    /// Where its keys are.
    pub keys: KeySet,
    /// In which claim the role stands, by its name.
    pub role_claim: String,
    /// In which claim the id of the tenant stands, or `*` for all tenants.
    pub tenant_claim: String,
}

/// Where the keys of an issuer are.
#[derive(Debug, Clone)]
pub enum KeySet {
    /// In this file.
    File(PathBuf),
    /// At this address: https, or http on the same machine.
    Url(String),
}

/// An issuer with its keys.
#[derive(Debug)]
pub struct Issuer {
    config: IssuerConfig,
    known: Mutex<Known>,
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known {
    keys: Arc<JwkSet>,
    read_at: DateTime<Utc>,
    tried_at: DateTime<Utc>,
}

/// What is read of a token whose signature is good.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Issuer {
    /// This issuer; nothing was read of it yet.
    pub fn new(config: IssuerConfig) -> Self {
        let (never, keys) = (DateTime::<Utc>::MIN_UTC, Arc::new(JwkSet { keys: Vec::new() }));
        let known = Mutex::new(Known { keys, read_at: never, tried_at: never });
        Self { config, known, reading: tokio::sync::Mutex::default() }
    }

    /// Whoever this token vouches for; `None`: it is no good, whatever the reason.
    pub async fn admit(&self, token: &str, now: DateTime<Utc>) -> Option<Caller> {
        let header = decode_header(token).ok()?;
        if !is_asymmetric(header.alg) {
            return None;
        }
        let key = match key_of(&*self.known(now).await, &header) {
            Some(key) => key,
            None => key_of(&*self.read_again(now).await, &header)?,
        };
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // By the clock that everything here goes by.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &key, &validation).ok()?.claims;
        self.caller(claims, now)
    }

    fn caller(&self, claims: Claims, now: DateTime<Utc>) -> Option<Caller> {
        let time = |seconds: f64| DateTime::<Utc>::from_timestamp(seconds as i64, 0);
        let expires_at = time(claims.exp)? + LEEWAY;
        let begins_at = claims.nbf.map_or(Some(DateTime::<Utc>::MIN_UTC), |nbf| Some(time(nbf)? - LEEWAY))?;
        if now >= expires_at || now < begins_at {
            return None;
        }
        let text = |claim: &String| claims.others.get(claim)?.as_str();
        let role = Role::named(&text(&self.config.role_claim)?.to_ascii_lowercase())?;
        let tenant = match text(&self.config.tenant_claim)? {
            ALL => None,
            id => Some(TenantId::parse(id, &At::Root).ok()?),
        };
        let name = Name::parse(claims.sub, &At::Root).ok()?;
        Some(Caller::vouched_for(name, expires_at, role, tenant))
    }

    /// The keys, which are read again when they are too old.
    async fn known(&self, now: DateTime<Utc>) -> Arc<JwkSet> {
        let (keys, read_at) = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            (known.keys.clone(), known.read_at)
        };
        if now.signed_duration_since(read_at) < BELIEVED { keys } else { self.read_again(now).await }
    }

    /// The keys as they are now, unless they were looked at a moment ago. Those that can't be read again are
    /// believed until they are too old.
    async fn read_again(&self, now: DateTime<Utc>) -> Arc<JwkSet> {
        let _one_at_a_time = self.reading.lock().await;
        let tried_at = self.known.lock().unwrap_or_else(PoisonError::into_inner).tried_at;
        if now.signed_duration_since(tried_at) >= AGAIN
            && let Err(error) = self.read(now).await
        {
            tracing::warn!(error, "the keys of the token issuer can't be read");
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if now.signed_duration_since(known.read_at) < BELIEVED {
            known.keys.clone()
        } else {
            Arc::new(JwkSet { keys: Vec::new() })
        }
    }

    /// Reads the keys. What is wrong is a sentence.
    pub async fn read(&self, now: DateTime<Utc>) -> Result<(), String> {
        let source = self.config.keys.clone();
        let read = tokio::task::spawn_blocking(move || source.read()).await;
        let keys = read.unwrap_or_else(|_| Err("reading them came to no end".into()));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.tried_at = now;
        known.keys = Arc::new(keys?);
        known.read_at = now;
        Ok(())
    }
}

/// A signature that whoever can check it could also make proves nothing.
fn is_asymmetric(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

/// The key by which a token says that it is signed: by its id, or the only one there is.
fn key_of(keys: &JwkSet, header: &Header) -> Option<DecodingKey> {
    let key = match (&header.kid, keys.keys.as_slice()) {
        (Some(id), _) => keys.find(id)?,
        (None, [only]) => only,
        (None, _) => return None,
    };
    if key.common.key_algorithm.is_some_and(|meant_for| meant_for != KeyAlgorithm::from(header.alg)) {
        return None;
    }
    DecodingKey::from_jwk(key).ok()
}

impl KeySet {
    fn read(&self) -> Result<JwkSet, String> {
        let bytes = match self {
            Self::File(path) => fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?,
            Self::Url(url) => fetch(url).map_err(|error| format!("{url}: {error}"))?,
        };
        let keys: JwkSet =
            serde_json::from_slice(&bytes).map_err(|error| format!("{self}: this is no JWK set: {error}"))?;
        if keys.keys.is_empty() { Err(format!("{self}: there is no key")) } else { Ok(keys) }
    }
}

impl std::fmt::Display for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl std::str::FromStr for KeySet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at_home = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        let is_at_home = |prefix: &&str| {
            let rest = text.strip_prefix(*prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        };
        if text.starts_with("https://") || at_home.iter().any(is_at_home) {
            Ok(Self::Url(text.to_owned()))
        } else if text.starts_with("http://") {
            Err("keys that come over http could be anybody's; use https, or a file".into())
        } else {
            Ok(Self::File(PathBuf::from(text)))
        }
    }
}

fn fetch(url: &str) -> Result<Vec<u8>, ureq::Error> {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build();
    let mut response = ureq::Agent::new_with_config(config).get(url).call()?;
    response.body_mut().with_config().limit(MAX_KEYS).read_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_files_and_over_https() {
        let url = |text: &str| matches!(text.parse(), Ok(KeySet::Url(_)));
        assert!(
            url("https://id.example/keys") && url("http://127.0.0.1:9/keys") && url("http://localhost/keys")
        );
        assert!(matches!("keys.json".parse(), Ok(KeySet::File(_))));
        for text in ["http://id.example/keys", "http://localhost.example/", "http://127.0.0.1.example/"] {
            assert!(text.parse::<KeySet>().is_err(), "{text}");
        }
    }
}
