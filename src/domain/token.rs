//! Tokens: what programs and people show to say who they are. A token is a secret; only a hash of it is
//! kept, so that nobody who reads the database can use it.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    access::{Caller, Role},
    denial::Denial,
    id::{SUFFIX, TenantId, TokenId},
    problem::{At, Problem, ProblemCode, keep},
    text::Name,
    wiped::wiped,
};

/// Begins every token, so that secret scanners find one that leaks.
const PREFIX: &str = "sluice_";

/// A token as it is kept: all but the secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its id, which stands in the secret, too.
    pub id: TokenId,
    /// What it is called, by those who look after it.
    pub name: Name,
    /// What it may be used for.
    pub role: Role,
    /// The only tenant for which it is good; `None`: for all.
    pub tenant_id: Option<TenantId>,
    /// What is kept of the secret.
    pub hash: SecretHash,
    /// When it was made, UTC.
    pub created_at: DateTime<Utc>,
    /// From when on it is no good, UTC.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked, UTC.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, UTC, exact to a minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl Token {
    /// Why it is no good at this time, if it is not.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), Denial> {
        if self.revoked_at.is_some() {
            return Err(Denial::RevokedToken);
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Denial::ExpiredToken);
        }
        Ok(())
    }

    /// Whoever shows it.
    pub fn caller(&self) -> Caller {
        Caller::with_token(self.id, self.name.clone(), self.role, self.tenant_id)
    }
}

/// A token as it is shown: the id of its row, which is no secret, and 256 random bits, which are. `Debug`
/// does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    id: TokenId,
    random: String,
}

impl Secret {
    /// The secret of a new token, with these random bits.
    pub fn new(id: TokenId, random: [u8; 32]) -> Self {
        Self { id, random: BASE64_URL_SAFE_NO_PAD.encode(random) }
    }

    /// What a client shows; `None` where it can't be one of ours. Whether it is good, the hash tells.
    pub fn shown(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (id, rest) = rest.split_at_checked(SUFFIX)?;
        let random = rest.strip_prefix('_').filter(|random| random.len() == 43)?;
        Some(Self { id: TokenId::from_suffix(id)?, random: random.to_owned() })
    }

    /// Which token it is.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The text that goes to whoever made the token, once.
    pub fn reveal(&self) -> String {
        let suffix = self.id.suffix();
        let id = suffix.iter().map(|digit| char::from(*digit));
        PREFIX.chars().chain(id).chain(['_']).chain(self.random.chars()).collect()
    }

    /// What is kept of it. A hash without salt will do: there is nothing to guess in 256 random bits.
    pub fn hash(&self) -> SecretHash {
        SecretHash(wiped(|| Sha256::digest(self.random.as_bytes()).to_vec()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sluice_…")
    }
}

/// The SHA-256 of a token's random part. Two are compared in a time that says nothing of either.
#[derive(Debug, Clone, Eq)]
pub struct SecretHash(Vec<u8>);

impl SecretHash {
    /// A hash as it was stored.
    pub fn stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes that are stored.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// What is asked for when a token is made.
#[derive(Debug, Clone)]
pub struct TokenDraft {
    /// See [`Token::name`].
    pub name: String,
    /// See [`Token::role`].
    pub role: Role,
    /// The id of the tenant for which it is good; `None`: for all that its maker sees.
    pub tenant_id: Option<String>,
    /// See [`Token::expires_at`].
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token that can be made, if its tenant exists.
#[derive(Debug, Clone, PartialEq)]
pub struct NewToken {
    /// See [`Token::name`].
    pub name: Name,
    /// See [`Token::role`].
    pub role: Role,
    /// See [`Token::tenant_id`].
    pub tenant_id: Option<TenantId>,
    /// See [`Token::expires_at`].
    pub expires_at: Option<DateTime<Utc>>,
}

impl NewToken {
    /// Checks a draft at this time and says everything that is wrong with it.
    pub fn parse(draft: TokenDraft, now: DateTime<Utc>) -> Result<Self, Vec<Problem>> {
        let TokenDraft { name, role, tenant_id, expires_at } = draft;
        let mut problems = Vec::new();
        let name = keep(Name::parse(name, &At::Root.field("name")), &mut problems);
        let tenant_id =
            tenant_id.and_then(|id| keep(TenantId::parse(&id, &At::Root.field("tenant_id")), &mut problems));
        if expires_at.is_some_and(|end| end <= now) {
            let message = "this is past; name a time that is to come, or leave it out";
            problems.push(At::Root.field("expires_at").problem(ProblemCode::OutOfRange, message));
        }
        match (name, problems.is_empty()) {
            (Some(name), true) => Ok(Self { name, role, tenant_id, expires_at }),
            _ => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_secret_is_recognisable_and_never_shown_by_chance() {
        let id = TokenId::new(DateTime::UNIX_EPOCH);
        let secret = Secret::new(id, [7; 32]);
        let text = secret.reveal();
        assert!(text.starts_with(PREFIX));
        assert_eq!(Secret::shown(&text), Some(secret.clone()));
        assert_eq!(Secret::shown(&text).map(|shown| (shown.id(), shown.hash())), Some((id, secret.hash())));
        assert_eq!(format!("{secret:?}"), "sluice_…");
        assert_ne!(Secret::new(id, [8; 32]).hash(), secret.hash());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(sluice_)?.{0,80}") {
            let _ = Secret::shown(&text);
        }
    }
}
