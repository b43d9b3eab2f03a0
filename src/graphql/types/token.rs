//! Tokens, and who asks.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result};

use super::tenant::TenantNode;
use crate::{
    domain::{
        access::{self, Caller, Identity},
        id::{TenantId, TokenId},
        token::Token,
    },
    graphql::{
        context::{ContextExt, Waiting},
        error::query_error,
        fields::fields,
        inline::viewed,
        leaf::choices,
        scalar::DateTime,
    },
};

/// What a token may be used for.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "access::Role")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, and makes and steers batches.
    Operator,
    /// All of that, and connections, tenants and tokens.
    Admin,
    /// Claims and finishes jobs, and nothing else.
    Worker,
}

/// The GraphQL type `Token`.
#[derive(Clone)]
pub struct TokenNode(pub Arc<Token>);

viewed!(TokenNode(Arc<Token>));
choices!(Role);

fields! {
    /// What a program or a person shows to say who it is. Its secret is shown once, when it is made.
    #[Object(name = "Token")]
    TokenNode |token|;

    /// Its id. It stands in the secret, too, so that one that leaks can be revoked.
    value id: TokenId = token.id;

    /// What it is called.
    value name: &str = &token.name;

    /// What it may be used for.
    value role: Role = token.role.into();

    /// The id of the only tenant for which it is good; null: it is good for all.
    value tenant_id: Option<TenantId> = token.tenant_id;

    /// The only tenant for which it is good; null: it is good for all, or the tenant was removed.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<Option<TenantNode>> {
        tenant(ctx, self.0.tenant_id).await
    }

    /// When it was made.
    value created_at: DateTime = DateTime(token.created_at);

    /// From when on it is no good; null: it does not expire.
    value expires_at: Option<DateTime> = token.expires_at.map(DateTime);

    /// When it was revoked; null: it was not.
    value revoked_at: Option<DateTime> = token.revoked_at.map(DateTime);

    /// When it was last used, exact to a minute; null: it was not.
    value last_used_at: Option<DateTime> = token.last_used_at.map(DateTime);
}

/// The GraphQL type `Viewer`.
pub struct ViewerNode(pub Caller);

/// Who you are, as far as the server can tell, and what you may do.
#[Object(name = "Viewer")]
impl ViewerNode {
    /// By which name you are known: that of your token, or the subject of your JSON Web Token; null where you have
    /// shown neither.
    async fn name(&self) -> Option<&str> {
        match self.0.identity() {
            Identity::Nobody => None,
            Identity::Token { name, .. } | Identity::Subject { name, .. } => Some(name),
        }
    }

    /// What you may do; null: everything, since the server is open.
    async fn role(&self) -> Option<Role> {
        self.0.role().map(Role::from)
    }

    /// The id of the only tenant whose things you see; null: you see those of all.
    async fn tenant_id(&self) -> Option<ID> {
        self.0.reach().tenant().map(|tenant| tenant.to_string().into())
    }

    /// The only tenant whose things you see; null: you see those of all.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<Option<TenantNode>> {
        tenant(ctx, self.0.reach().tenant()).await
    }

    /// The token that you have shown; null where you have shown none.
    async fn token(&self, ctx: &Context<'_>) -> Result<Option<TokenNode>> {
        match self.0.identity() {
            Identity::Nobody | Identity::Subject { .. } => Ok(None),
            Identity::Token { .. } => {
                let token = ctx.services().own_token(&self.0).await.map_err(query_error)?;
                Ok(token.map(Arc::new).map(TokenNode))
            }
        }
    }
}

fn tenant<'a>(ctx: &'a Context<'_>, id: Option<TenantId>) -> Waiting<'a, Result<Option<TenantNode>>> {
    Box::pin(async move {
        match id {
            None => Ok(None),
            Some(id) => Ok(ctx.load(id).await?.map(TenantNode)),
        }
    })
}
