//! Who asks, what they may do, and what they can see.
//!
//! Two walls. A **role** says what a caller may do at all; a **scope** says whose things it sees. A scope
//! is only to be had from a [`Caller`] that may do what it is wanted for, and the store's functions
//! ask for one: who forgets the question has nothing to pass on.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{
    event::Actor,
    id::{TenantId, TokenId},
    tenant::DEFAULT_TENANT,
    text::Name,
};

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Admin, Self::Worker];

    /// The name that the database and the command line use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Worker => "worker",
        }
    }

    /// The role with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    fn may(self, deed: Deed) -> bool {
        match deed {
            Deed::Read | Deed::Observe => matches!(self, Self::Viewer | Self::Operator | Self::Admin),
            Deed::Operate => matches!(self, Self::Operator | Self::Admin),
            Deed::Administer | Deed::AdministerAll => self == Self::Admin,
            Deed::Work => self == Self::Worker,
        }
    }
}

/// The kinds of things that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deed {
    /// To read.
    Read,
    /// To make and steer batches.
    Operate,
    /// To change connections and tokens.
    Administer,
    /// To change tenants, which concerns all of them: their names are unique.
    AdministerAll,
    /// To claim and finish jobs.
    Work,
    /// To read how the server fares, which concerns all tenants.
    Observe,
}

/// Whose things are seen: those of one tenant, or everybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope(Option<TenantId>);

impl Scope {
    /// Everybody's things: for what Sluice does by itself, and for no request.
    pub const SLUICE: Self = Self(None);

    /// The only tenant whose things are seen; `None`: everybody's are.
    pub fn tenant(self) -> Option<TenantId> {
        self.0
    }

    /// Whether the things of this tenant are seen.
    pub fn contains(self, tenant: TenantId) -> bool {
        self.0.is_none_or(|own| own == tenant)
    }

    /// The tenant that is meant where none is named.
    pub fn home(self) -> TenantId {
        self.0.unwrap_or(DEFAULT_TENANT)
    }
}

/// To whom a server is open without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// To nobody.
    ToNobody,
    /// To whoever is on the same machine, until the first token is made.
    AtHome,
    /// To anybody who can reach it: somebody has asked for that.
    ToAnybody,
}

/// By what a caller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// By nothing: the server is open, or it is Sluice itself.
    Nobody,
    /// By a token.
    Token {
        /// Its id.
        id: TokenId,
        /// Its name.
        name: Name,
    },
    /// By an issuer that vouches for it.
    Subject {
        /// What the issuer calls it.
        name: Name,
        /// From when on it does not vouch any more, UTC.
        expires_at: DateTime<Utc>,
    },
}

/// Who asks, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    identity: Identity,
    /// `None`: everything.
    role: Option<Role>,
    scope: Scope,
}

/// What a caller wanted and may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden {
    deed: Deed,
    role: Role,
}

impl Caller {
    /// Whoever asks a server that is open: may do everything.
    pub const ANYBODY: Self = Self { identity: Identity::Nobody, role: None, scope: Scope(None) };

    /// Whoever shows this token, which is good for one tenant or, without one, for all.
    pub fn with_token(id: TokenId, name: Name, role: Role, tenant: Option<TenantId>) -> Self {
        Self { identity: Identity::Token { id, name }, role: Some(role), scope: Scope(tenant) }
    }

    /// Whoever an issuer vouches for until then, UTC.
    pub fn vouched_for(name: Name, expires_at: DateTime<Utc>, role: Role, tenant: Option<TenantId>) -> Self {
        Self { identity: Identity::Subject { name, expires_at }, role: Some(role), scope: Scope(tenant) }
    }

    /// By what the caller is known.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its role; `None`: it may do everything.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// Under which name its changes stand in the history.
    pub fn actor(&self) -> Actor {
        match &self.identity {
            Identity::Nobody => Actor::Client,
            Identity::Token { id, name } => Actor::Token { id: *id, name: name.clone() },
            Identity::Subject { name, .. } => Actor::Subject(name.clone()),
        }
    }

    /// What it sees of things that hang on what it was given: a worker is told about its job's connection.
    pub fn reach(&self) -> Scope {
        self.scope
    }

    /// What it may read.
    pub fn may_read(&self) -> Result<Scope, Forbidden> {
        self.may(Deed::Read)
    }

    /// Where it may make and steer batches.
    pub fn may_operate(&self) -> Result<Scope, Forbidden> {
        self.may(Deed::Operate)
    }

    /// Where it may change connections and tokens.
    pub fn may_administer(&self) -> Result<Scope, Forbidden> {
        self.may(Deed::Administer)
    }

    /// Whether it may change tenants.
    pub fn may_administer_all(&self) -> Result<Scope, Forbidden> {
        self.may(Deed::AdministerAll)
    }

    /// Where it may claim and finish jobs.
    pub fn may_work(&self) -> Result<Scope, Forbidden> {
        self.may(Deed::Work)
    }

    /// Whether it may read how the server fares.
    pub fn may_observe(&self) -> Result<Scope, Forbidden> {
        self.may(Deed::Observe)
    }

    fn may(&self, deed: Deed) -> Result<Scope, Forbidden> {
        let of_all = matches!(deed, Deed::AdministerAll | Deed::Observe);
        let confined = of_all && self.scope.tenant().is_some();
        match self.role {
            Some(role) if confined || !role.may(deed) => Err(Forbidden { deed, role }),
            Some(_) | None => Ok(self.scope),
        }
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, whose) = match self.deed {
            Deed::Read => ("read this", "VIEWER, OPERATOR or ADMIN"),
            Deed::Operate => ("make or steer batches", "OPERATOR or ADMIN"),
            Deed::Administer => ("change connections or tokens", "ADMIN"),
            Deed::AdministerAll => ("change tenants", "ADMIN for all tenants"),
            Deed::Work => ("claim or finish jobs", "WORKER"),
            Deed::Observe => ("read the metrics", "VIEWER, OPERATOR or ADMIN for all tenants"),
        };
        let role = self.role.name().to_uppercase();
        write!(f, "a token with the role {role} may not {what}; it takes one with the role {whose}")
    }
}

impl std::error::Error for Forbidden {}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role, tenant: Option<TenantId>) -> Caller {
        Caller::with_token(TokenId::new(DateTime::UNIX_EPOCH), Name::stored("x".into()), role, tenant)
    }

    #[test]
    fn each_role_may_do_its_own_and_no_more() {
        let all =
            [Deed::Read, Deed::Observe, Deed::Operate, Deed::Administer, Deed::AdministerAll, Deed::Work];
        let may = |role| all.map(|deed| caller(role, None).may(deed).is_ok());
        assert_eq!(may(Role::Viewer), [true, true, false, false, false, false]);
        assert_eq!(may(Role::Operator), [true, true, true, false, false, false]);
        assert_eq!(may(Role::Admin), [true, true, true, true, true, false]);
        assert_eq!(may(Role::Worker), [false, false, false, false, false, true]);
        assert!(all.iter().all(|deed| Caller::ANYBODY.may(*deed).is_ok()));
    }

    #[test]
    fn an_admin_of_one_tenant_sees_it_alone_and_can_not_change_tenants() {
        let own = TenantId::new(DateTime::UNIX_EPOCH);
        let admin = caller(Role::Admin, Some(own));
        let scope = admin.may_administer().unwrap();
        assert!(scope.contains(own) && !scope.contains(DEFAULT_TENANT));
        assert_eq!(scope.home(), own);
        let refused = admin.may_administer_all().unwrap_err();
        assert!(refused.to_string().contains("ADMIN for all tenants"), "{refused}");
        assert!(admin.may_observe().is_err(), "what is counted is of all tenants");
    }
}
