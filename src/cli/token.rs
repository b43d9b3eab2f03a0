//! `sluice token`: for whoever can read and write the database anyway, and so may do everything.

use chrono::{DateTime, SecondsFormat, Utc};

use super::args::{CreateTokenArgs, TokenAction, TokenArgs};
use crate::{
    app,
    config::DatabaseConfig,
    domain::{
        access::Caller,
        id::{TenantId, TokenId},
        list::Order,
        page::{Keyed, ListKind, MAX_PAGE, Page, PageArgs, encode},
        problem::At,
        since::Since,
        token::{Token, TokenDraft},
    },
    services::{Error, Services},
};

pub async fn run(args: TokenArgs) -> Result<(), String> {
    let database = DatabaseConfig { url: args.database.url(), connections: 1 };
    let store = app::open_database(&database).await.map_err(|error| error.to_string())?;
    let services = super::services(store, None);
    let done = match args.action {
        TokenAction::Create(args) => create(&services, args).await,
        TokenAction::List => list(&services).await,
        TokenAction::Revoke { id } => revoke(&services, &id).await,
    };
    done.map_err(super::sentence)
}

async fn create(services: &Services, args: CreateTokenArgs) -> Result<(), Error> {
    let CreateTokenArgs { name, role, tenant, all_tenants: _, expires } = args;
    let tenant_id = match tenant {
        None => None,
        Some(tenant) => Some(find_tenant(services, tenant).await?),
    };
    let draft = TokenDraft { name, role, tenant_id, expires_at: expires.map(Since::instant) };
    let (token, secret) = services.create_token(&Caller::ANYBODY, draft).await?;
    eprintln!("{} is made. This is its secret, and it is never shown again:", token.id);
    println!("{}", secret.reveal());
    Ok(())
}

/// The id of the tenant with this id or this name.
async fn find_tenant(services: &Services, tenant: String) -> Result<String, Error> {
    if TenantId::parse(&tenant, &At::Root).is_ok() {
        return Ok(tenant);
    }
    let found = services.tenant_named(&Caller::ANYBODY, &tenant).await?;
    // Whatever this is, it is told to be no tenant.
    Ok(found.map_or(tenant, |found| found.id.to_string()))
}

async fn list(services: &Services) -> Result<(), Error> {
    let mut args = PageArgs { first: Some(MAX_PAGE as i32), ..PageArgs::default() };
    loop {
        let page = Page::parse(&args, ListKind::Tokens, Order::OLDEST)?;
        let slice = services.tokens(&Caller::ANYBODY, &page).await?;
        slice.rows.iter().for_each(|token| println!("{}", line(token)));
        let Some(last) = slice.rows.last().filter(|_| slice.has_next) else { return Ok(()) };
        args.after = Some(encode(&last.key(Order::OLDEST), ListKind::Tokens, Order::OLDEST));
    }
}

fn line(token: &Token) -> String {
    let tenant = token.tenant_id.map_or_else(|| "all tenants".into(), |tenant| tenant.to_string());
    let time = |what: &str, at: Option<DateTime<Utc>>| {
        at.map(|at| format!("  {what} {}", at.to_rfc3339_opts(SecondsFormat::Secs, true))).unwrap_or_default()
    };
    let times = [
        time("expires", token.expires_at),
        time("revoked", token.revoked_at),
        time("last used", token.last_used_at),
    ];
    format!("{}  {:8}  {tenant}  {}{}", token.id, token.role.name(), &*token.name, times.concat())
}

async fn revoke(services: &Services, id: &str) -> Result<(), Error> {
    let id = TokenId::parse(id, &At::Root.field("id"))?;
    let token = services.revoke_token(&Caller::ANYBODY, id).await?;
    println!("{} is revoked", token.id);
    Ok(())
}
