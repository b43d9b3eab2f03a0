//! The keys by which credentials are sealed.
//!
//! Sealed credentials are an **envelope**: a version, the id of the key, a nonce, and what
//! XChaCha20-Poly1305 makes of the credentials. The connection's id is the associated data, so that an envelope
//! that is moved to another connection can't be opened there. From each key others are derived
//! (HMAC-SHA256 of a fixed text): one that seals, one for fingerprints, and a proof by which the key is known.

use std::fmt;

use base64::{Engine, engine::GeneralPurposeConfig, engine::general_purpose::GeneralPurpose};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::{
    credentials::{Credentials, Fingerprint},
    id::ConnectionId,
    wiped::wiped,
};

/// The bytes of a key.
pub const KEY: usize = 32;
/// The bytes of a nonce.
pub const NONCE: usize = 24;
/// The first byte of every envelope.
const VERSION: u8 = 1;
/// The longest id of a key, in bytes.
const MAX_ID: usize = 32;
/// How many bytes of a MAC make a fingerprint.
const FINGERPRINT: usize = 16;

/// Base 64 as people write it: with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// One key. `Debug` does not show it, and its memory is wiped when it is dropped.
#[derive(Debug)]
pub struct SecretKey {
    id: KeyId,
    key: SecretBox<[u8; KEY]>,
}

/// By what a key is known. It stands in the envelopes that it seals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// An id that was checked when it was stored.
    pub fn stored(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The keys, the one that seals first. The others only open what they have sealed.
#[derive(Debug)]
pub struct Keyring {
    current: SecretKey,
    former: Vec<SecretKey>,
}

/// Sealed credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The envelope.
    pub envelope: Vec<u8>,
    /// The key that has sealed it.
    pub key: KeyId,
    /// Tells the credentials from others.
    pub fingerprint: Fingerprint,
}

/// Why an envelope was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// It was sealed by a key that is not there.
    #[error("the credentials were sealed with the key {0}, which this server does not have")]
    NoKey(KeyId),
    /// It is no envelope, or was tampered with.
    #[error("the sealed credentials are damaged")]
    Damaged,
}

impl SecretKey {
    /// A key with these random bytes.
    pub fn new(id: KeyId, bytes: Zeroizing<[u8; KEY]>) -> Self {
        Self { id, key: SecretBox::init_with_mut(|key: &mut [u8; KEY]| key.copy_from_slice(&*bytes)) }
    }

    /// The line of a key file that makes this key.
    pub fn line(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}:{}\n", self.id, BASE64.encode(self.key.expose_secret())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (id, key) = text.split_once(':').ok_or("a key is written as ID:KEY, with KEY in base64")?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(fits) {
            return Err(format!("the id of a key has 1 to {MAX_ID} letters, digits, - and _"));
        }
        let wrong = || format!("the key {id} is not {KEY} bytes in base64");
        let mut bytes = BASE64.decode(key.trim()).map_err(|_| wrong())?;
        let key = <[u8; KEY]>::try_from(&*bytes).map_err(|_| wrong());
        bytes.zeroize();
        Ok(Self::new(KeyId(id.into()), Zeroizing::new(key?)))
    }

    fn derived(&self, purpose: &[u8], data: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        wiped(|| {
            // HMAC takes keys of any length.
            let mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret());
            let mut mac = mac.unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
            for part in [&[purpose], data].concat() {
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part);
            }
            Zeroizing::new(mac.finalize().into_bytes().into())
        })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.derived(b"sluice seal", &[])).into())
    }

    /// By what the key is known without being shown.
    pub fn proof(&self) -> Vec<u8> {
        self.derived(b"sluice proof", &[]).to_vec()
    }

    /// Its id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }
}

impl Keyring {
    /// Nothing but this key.
    pub fn of(current: SecretKey) -> Self {
        Self { current, former: Vec::new() }
    }

    /// Reads keys, one a line or separated by commas, each as `ID:KEY`. The first is the one that seals.
    /// Lines that begin with `#` are passed over. What is wrong is said without repeating a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let keys = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|key| !key.is_empty());
        let mut keys = keys.map(SecretKey::parse).collect::<Result<Vec<_>, _>>()?.into_iter();
        let current = keys.next().ok_or("there is no key")?;
        let keyring = Self { current, former: keys.collect() };
        let mut ids: Vec<&KeyId> = keyring.keys().map(SecretKey::id).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(twice) => Err(format!("there are two keys with the id {}", twice[0])),
            None => Ok(keyring),
        }
    }

    /// All keys, the one that seals first.
    pub fn keys(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.current).chain(&self.former)
    }

    /// The key that seals.
    pub fn current(&self) -> &SecretKey {
        &self.current
    }

    /// What tells these credentials of this connection from others.
    pub fn fingerprint(&self, connection: ConnectionId, credentials: &Credentials) -> Fingerprint {
        let id = connection.uuid();
        let mac =
            self.current.derived(b"sluice fingerprint", &[id.as_bytes(), credentials.reveal().as_bytes()]);
        Fingerprint::new(mac[..FINGERPRINT].to_vec())
    }

    /// Seals the credentials of this connection. The nonce must be random.
    pub fn seal(&self, connection: ConnectionId, credentials: &Credentials, nonce: [u8; NONCE]) -> Sealed {
        let KeyId(id) = &self.current.id;
        let associated = connection.uuid();
        let payload = Payload { msg: credentials.reveal().as_bytes(), aad: associated.as_bytes() };
        let sealed = self.current.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.unwrap_or_else(|_| unreachable!("only gigabytes can't be sealed"));
        let head = [&[VERSION, id.len() as u8], id.as_bytes(), &nonce].concat();
        Sealed {
            envelope: [head, sealed].concat(),
            key: self.current.id.clone(),
            fingerprint: self.fingerprint(connection, credentials),
        }
    }

    /// Opens the envelope of this connection.
    pub fn open(&self, connection: ConnectionId, envelope: &[u8]) -> Result<Credentials, Unopened> {
        let parts = || {
            let [version, length, rest @ ..] = envelope else { return None };
            let (id, rest) = rest.split_at_checked(usize::from(*length))?;
            let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
            (*version == VERSION).then_some((KeyId(String::from_utf8(id.to_vec()).ok()?), nonce, sealed))
        };
        let (id, nonce, sealed) = parts().ok_or(Unopened::Damaged)?;
        let Some(key) = self.keys().find(|key| key.id == id) else { return Err(Unopened::NoKey(id)) };
        let associated = connection.uuid();
        let payload = Payload { msg: sealed, aad: associated.as_bytes() };
        let opened = key.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| Unopened::Damaged)?;
        Credentials::unsealed(opened).ok_or(Unopened::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::{credentials::CredentialsDraft, problem::At};

    fn keyring(text: &str) -> Keyring {
        Keyring::parse(text).unwrap()
    }

    fn key(id: &str, byte: u8) -> String {
        SecretKey::new(KeyId(id.into()), Zeroizing::new([byte; KEY])).line().to_string()
    }

    fn credentials() -> Credentials {
        Credentials::parse(CredentialsDraft(json!({ "password": "hunter2", "user": "me" })), &At::Root)
            .unwrap()
    }

    fn connection() -> ConnectionId {
        ConnectionId::new(DateTime::UNIX_EPOCH)
    }

    #[test]
    fn what_was_sealed_is_opened_by_the_same_key_for_the_same_connection_alone() {
        let (own, ring) = (connection(), keyring(&key("1", 7)));
        let sealed = ring.seal(own, &credentials(), [9; NONCE]);
        let opened = ring.open(own, &sealed.envelope).map(|opened| opened.reveal().to_owned());
        assert_eq!(opened.as_deref(), Ok(r#"{"password":"hunter2","user":"me"}"#));
        let error = |ring: &Keyring, id, envelope: &[u8]| ring.open(id, envelope).unwrap_err();
        assert_eq!(error(&ring, connection(), &sealed.envelope), Unopened::Damaged);
        assert_eq!(error(&keyring(&key("1", 8)), own, &sealed.envelope), Unopened::Damaged);
        let other = keyring(&key("2", 7));
        assert_eq!(error(&other, own, &sealed.envelope), Unopened::NoKey(KeyId("1".into())));
    }

    #[test]
    fn a_new_key_seals_and_a_former_one_still_opens() {
        let own = connection();
        let old = keyring(&key("old", 1)).seal(own, &credentials(), [1; NONCE]);
        let ring = keyring(&format!("# rotated\n{}\n{}", key("new", 2), key("old", 1)));
        assert!(ring.open(own, &old.envelope).is_ok());
        assert_eq!(ring.seal(own, &credentials(), [1; NONCE]).key, KeyId("new".into()));
    }

    #[test]
    fn a_fingerprint_tells_credentials_connections_and_keys_apart() {
        let (own, ring) = (connection(), keyring(&key("1", 7)));
        let print = ring.fingerprint(own, &credentials());
        assert_eq!(print, ring.fingerprint(own, &credentials()));
        assert_eq!(print.to_string().len(), 32);
        let other =
            Credentials::parse(CredentialsDraft(json!({ "password": "hunter3", "user": "me" })), &At::Root)
                .unwrap();
        assert_ne!(print, ring.fingerprint(own, &other));
        assert_ne!(print, ring.fingerprint(connection(), &credentials()));
        assert_ne!(print, keyring(&key("1", 8)).fingerprint(own, &credentials()));
    }

    #[test]
    fn what_is_no_keyring_is_refused_without_repeating_a_key() {
        let good = key("1", 7);
        let secret = good.trim().split_once(':').unwrap().1;
        for text in [
            "",
            "# nothing",
            secret,
            &format!(":{secret}"),
            &format!("a b:{secret}"),
            &format!("{}:{secret}", "x".repeat(33)),
            &format!("1:{}", &secret[..20]),
            &format!("1:{secret}{secret}"),
            &format!("{good}{good}"),
        ] {
            let error = Keyring::parse(text).unwrap_err();
            assert!(!error.contains(&secret[..8]), "{error}");
        }
        assert!(!format!("{:?}", keyring(&good)).contains(&secret[..8]));
    }

    proptest! {
        #[test]
        fn a_changed_byte_never_opens(place in 0..90_usize, change in 1..=255_u8) {
            let (own, ring) = (connection(), keyring(&key("1", 7)));
            let mut envelope = ring.seal(own, &credentials(), [9; NONCE]).envelope;
            let place = place % envelope.len();
            envelope[place] ^= change;
            prop_assert!(ring.open(own, &envelope).is_err());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(keyring(&key("1", 7)).open(connection(), &bytes).is_err());
        }
    }
}
