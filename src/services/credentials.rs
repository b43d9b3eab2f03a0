//! Credentials: sealed on their way in, opened for the worker that has claimed a job, and for nobody else.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{Error, Services, in_chunks, random};
use crate::{
    domain::{
        access::Caller,
        credentials::{Credentials, CredentialsMark},
        id::ConnectionId,
        keyring::{KeyId, Keyring, Sealed},
        problem::{At, Problem, ProblemCode},
    },
    store::{
        self, Guarded,
        connections::CredentialsWrite,
        secrets::{self, Known},
    },
};

/// How many envelopes are sealed anew in one transaction.
const AT_ONCE: u64 = 100;

/// Why the keys that a server has will not do.
#[derive(Debug, thiserror::Error)]
pub enum WrongKeys {
    /// A key is missing.
    #[error(
        "credentials in this database are sealed with the key {0}, which is not there; name it with \
         --secret-key-file or SLUICE_SECRET_KEY"
    )]
    Missing(KeyId),
    /// A key is another one than was used under the same id.
    #[error(
        "the key {0} is not the one that this database knows under that id; give a new key a new id, and keep the \
         old one beside it"
    )]
    Other(KeyId),
    /// That could not be found out.
    #[error(transparent)]
    Failed(#[from] store::Error),
}

impl Services {
    /// Whether the keys are those with which credentials were sealed, and no others under the same ids.
    pub async fn check_keys(&self) -> Result<(), WrongKeys> {
        let mut missing: BTreeSet<KeyId> =
            secrets::keys_in_use(self.store.reader()).await?.into_iter().collect();
        if let Some(keyring) = &self.keyring {
            let transaction = self.store.write().await?;
            for key in keyring.keys() {
                missing.remove(key.id());
                match secrets::make_known(transaction.db(), key).await? {
                    Known::Same => {}
                    Known::Other => return Err(WrongKeys::Other(key.id().clone())),
                }
            }
            transaction.commit().await?;
        }
        missing.pop_first().map_or(Ok(()), |key| Err(WrongKeys::Missing(key)))
    }

    /// The credentials of these connections, those that have some: for who works on them.
    pub async fn credentials(
        &self,
        caller: &Caller,
        ids: &[ConnectionId],
    ) -> Result<HashMap<ConnectionId, Arc<Credentials>>, Error> {
        let (scope, db) = (caller.may_work()?, self.store.reader());
        let envelopes = in_chunks(ids, async |ids| secrets::envelopes(db, scope, &ids).await).await?;
        let mut opened = HashMap::with_capacity(envelopes.len());
        for (id, envelope) in envelopes {
            opened.insert(id, Arc::new(self.open(id, &envelope)?));
        }
        Ok(opened)
    }

    /// Seals anew what other keys than the current one have sealed, and says how many envelopes those were.
    /// Any number of servers may work meanwhile, if they have both keys.
    pub async fn rotate_keys(&self) -> Result<usize, Error> {
        let keyring = self.keyring()?;
        let (mut rotated, mut after) = (0, None);
        loop {
            let transaction = self.store.write().await?;
            let db = transaction.db();
            let found = secrets::sealed_otherwise(db, keyring.current().id(), after, AT_ONCE).await?;
            let Some((last, _)) = found.last() else { return Ok(rotated) };
            after = Some(*last);
            for (id, envelope) in found {
                let sealed = keyring.seal(id, &self.open(id, &envelope)?, random::nonce()?);
                match secrets::reseal(db, id, envelope, &sealed).await? {
                    Guarded::Done => rotated += 1,
                    // They were changed just now, and so sealed by whoever did that.
                    Guarded::Changed => {}
                }
            }
            transaction.commit().await?;
        }
    }

    /// What is to be written where a connection shall have these credentials, and what is known of them then.
    /// Those that it has already are left as they are.
    pub(super) fn seal(
        &self,
        id: ConnectionId,
        old: Option<&CredentialsMark>,
        new: Option<&Credentials>,
    ) -> Result<(Option<CredentialsMark>, CredentialsWrite), Error> {
        let Some(credentials) = new else { return Ok((None, CredentialsWrite::Remove)) };
        let keyring = self.keyring()?;
        if let Some(old) = old.filter(|old| old.fingerprint == keyring.fingerprint(id, credentials)) {
            return Ok((Some(old.clone()), CredentialsWrite::Keep));
        }
        let sealed: Sealed = keyring.seal(id, credentials, random::nonce()?);
        let mark = CredentialsMark { fingerprint: sealed.fingerprint.clone(), updated_at: self.now() };
        Ok((Some(mark), CredentialsWrite::Put(sealed)))
    }

    fn keyring(&self) -> Result<&Keyring, Problem> {
        self.keyring.as_ref().ok_or_else(|| {
            let message = "this server has no key to seal credentials with; its operator names one with \
                           --secret-key-file or SLUICE_SECRET_KEY";
            At::Root.field("credentials").problem(ProblemCode::WrongState, message)
        })
    }

    fn open(&self, id: ConnectionId, envelope: &[u8]) -> Result<Credentials, Error> {
        let opened = self.keyring()?.open(id, envelope);
        Ok(opened.map_err(|reason| store::Error::Unopened { connection: id.uuid(), reason })?)
    }
}
