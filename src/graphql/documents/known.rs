//! Documents that a client may name by the SHA-256 of their text: those that somebody has sent before along with
//! their hash (Apollo's automatic persisted queries), and those that the operator has registered.

use std::{collections::HashMap, sync::Arc};

use sha2::{Digest, Sha256};

/// The SHA-256 of a document's text, in 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentHash(String);

impl DocumentHash {
    /// A hash that a client names; `None` when it is none.
    pub fn named(text: &str) -> Option<Self> {
        let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The hash of a text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which document a client wants to be run.
#[derive(Debug, Clone)]
pub enum Asked {
    /// The one with this text.
    Text(String),
    /// The one with this hash, which the server should know.
    Hash(DocumentHash),
    /// The one with this text, which shall be known by this hash from now on.
    Both(String, DocumentHash),
}

impl From<&str> for Asked {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The documents that the operator has registered. Others are not run then.
#[derive(Debug, Clone, Default)]
pub struct Registered {
    documents: HashMap<DocumentHash, Arc<str>>,
    names: Vec<(String, Arc<str>)>,
}

impl Registered {
    /// These documents, each with the name under which it is complained about. White space around a text does
    /// not count.
    pub fn new(named: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut registered = Self::default();
        for (name, text) in named {
            let text: Arc<str> = text.trim().into();
            registered.documents.insert(DocumentHash::of(&text), text.clone());
            registered.names.push((name, text));
        }
        registered
    }

    /// The document with this hash.
    pub fn get(&self, hash: &DocumentHash) -> Option<&Arc<str>> {
        self.documents.get(hash)
    }

    /// All of them, each with its name.
    pub fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(|(name, text)| (&**name, &**text))
    }
}
