//! Mutations of tokens.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::payload;
use crate::{
    domain::{
        id::TokenId,
        problem::At,
        token::{Token, TokenDraft},
    },
    graphql::{
        context::ContextExt,
        error::{self, UserError},
        scalar::DateTime,
        types::token::{Role, TokenNode},
    },
};

/// What a new token is to be.
#[derive(InputObject)]
struct CreateTokenInput {
    /// What it is called: whom or what it is for; at most 255 characters.
    name: String,
    /// What it may be used for.
    role: Role,
    /// The only tenant for which it is good; left out: all that you see.
    tenant_id: Option<ID>,
    /// From when on it is no good; left out: it does not expire.
    expires_at: Option<DateTime>,
}

/// Which token shall be revoked.
#[derive(InputObject)]
struct RevokeTokenInput {
    /// Which token.
    id: ID,
}

/// The new token with its secret, or everything that was wrong.
#[derive(SimpleObject)]
struct CreateTokenPayload {
    /// The new token; null when it was refused, and nothing was changed.
    token: Option<TokenNode>,
    /// Its secret, to be sent as `Authorization: Bearer sluice_…`. It is shown here and nowhere else.
    secret: Option<String>,
    /// Everything that was wrong; empty when it was done.
    user_errors: Vec<UserError>,
}

payload!(RevokeTokenPayload, token: TokenNode, "The revoked token");

/// The mutations of tokens.
#[derive(Default)]
pub struct TokenMutation;

#[Object]
impl TokenMutation {
    /// Makes a token. Once there is one, nobody is served without. For the role ADMIN.
    async fn create_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is to be.")] input: CreateTokenInput,
    ) -> Result<CreateTokenPayload> {
        let CreateTokenInput { name, role, tenant_id, expires_at } = input;
        let tenant_id = tenant_id.map(|id| id.0);
        let expires_at = expires_at.map(|DateTime(at)| at);
        let draft = TokenDraft { name, role: role.into(), tenant_id, expires_at };
        let (made, user_errors) = error::payload(ctx.services().create_token(ctx.caller(), draft).await)?;
        let (token, secret) = made.unzip();
        let secret = secret.map(|secret| secret.reveal());
        Ok(CreateTokenPayload { token: token.map(node), secret, user_errors })
    }

    /// Revokes a token for good: within seconds nobody is served who shows it. One that is revoked
    /// already stays as it is. For the role ADMIN.
    async fn revoke_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which token.")] input: RevokeTokenInput,
    ) -> Result<RevokeTokenPayload> {
        let revoked = async {
            let id = TokenId::parse(&input.id, &At::Root.field("id"))?;
            ctx.services().revoke_token(ctx.caller(), id).await
        };
        RevokeTokenPayload::new(revoked.await, node)
    }
}

fn node(token: Token) -> TokenNode {
    TokenNode(Arc::new(token))
}
