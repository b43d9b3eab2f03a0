//! Tokens, as those see them who look after them. What they open is in [`super::admission`].

use std::{collections::HashMap, sync::Arc};

use super::{Error, Services, by_id, in_chunks, not_found, random, wakeups::Topic};
use crate::{
    domain::{
        access::{Caller, Identity, Scope},
        id::TokenId,
        page::{Page, Slice},
        problem::At,
        tenant::no_tenant,
        token::{NewToken, Secret, Token, TokenDraft},
    },
    store::{tenants, tokens},
};

impl Services {
    /// The tokens with these ids, as far as the caller may look after them.
    pub async fn tokens_by_id(
        &self,
        caller: &Caller,
        ids: &[TokenId],
    ) -> Result<HashMap<TokenId, Arc<Token>>, Error> {
        let (scope, db) = (caller.may_administer()?, self.store.reader());
        let found = in_chunks(ids, async |ids| tokens::by_ids(db, scope, &ids).await).await?;
        Ok(by_id(found, |token| token.id))
    }

    /// The token that the caller itself has shown, if it has shown one.
    pub async fn own_token(&self, caller: &Caller) -> Result<Option<Token>, Error> {
        match caller.identity() {
            Identity::Nobody | Identity::Subject { .. } => Ok(None),
            // Its own, whatever else it may see.
            Identity::Token { id, .. } => {
                Ok(tokens::by_ids(self.store.reader(), Scope::SLUICE, &[*id]).await?.pop())
            }
        }
    }

    /// A page of the tokens that the caller may look after.
    pub async fn tokens(&self, caller: &Caller, page: &Page) -> Result<Slice<Token>, Error> {
        let scope = caller.may_administer()?;
        Ok(page.cut(tokens::page(self.store.reader(), scope, page).await?))
    }

    /// How many tokens the caller may look after.
    pub async fn token_count(&self, caller: &Caller) -> Result<u64, Error> {
        let scope = caller.may_administer()?;
        Ok(tokens::count(self.store.reader(), scope).await?)
    }

    /// Makes a token, and gives the secret that is never to be had again. Whoever sees one tenant only
    /// makes tokens for that one.
    pub async fn create_token(&self, caller: &Caller, draft: TokenDraft) -> Result<(Token, Secret), Error> {
        let scope = caller.may_administer()?;
        let now = self.now();
        let NewToken { name, role, tenant_id, expires_at } = NewToken::parse(draft, now)?;
        let tenant_id = tenant_id.or(scope.tenant());
        let transaction = self.store.write().await?;
        if let Some(tenant) = tenant_id
            && tenants::by_ids(transaction.db(), scope, &[tenant]).await?.is_empty()
        {
            return Err(no_tenant(&At::Root.field("tenant_id")).into());
        }
        let secret = random::secret(TokenId::new(now))?;
        let token = Token {
            id: secret.id(),
            name,
            role,
            tenant_id,
            hash: secret.hash(),
            created_at: now,
            expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        tokens::insert(transaction.db(), &token).await?;
        transaction.commit().await?;
        self.wakeups.changed(&[Topic::Access]);
        Ok((token, secret))
    }

    /// Revokes a token for good. One that is revoked already stays as it is.
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<Token, Error> {
        let scope = caller.may_administer()?;
        let transaction = self.store.write().await?;
        let token = tokens::lock(transaction.db(), scope, id).await?.ok_or_else(|| not_found("token"))?;
        if token.revoked_at.is_some() {
            return Ok(token);
        }
        let now = self.now();
        tokens::revoke(transaction.db(), id, now).await?;
        transaction.commit().await?;
        self.wakeups.changed(&[Topic::Access]);
        Ok(Token { revoked_at: Some(now), ..token })
    }
}
