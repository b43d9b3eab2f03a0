//! `schema.graphql` is what the code says, and keeps what the last release has promised.

mod differences;
mod in_use;
mod members;
mod pairs;
mod weights;

use differences::{Weight, differences};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");

/// The schema of the last release. A release renews it, in the commit that raises the version in
/// `Cargo.toml`: `cp schema.graphql tests/schema/released.graphql`. Nothing else does: what was added since
/// then nobody uses yet, and may still change; what shall go is marked `@deprecated` first, and goes after the
/// release that has shown it so.
const RELEASED: &str = include_str!("released.graphql");

/// `SLUICE_UPDATE_SCHEMA=1 cargo test --test schema` rewrites it.
#[test]
fn the_committed_schema_is_the_generated_one() {
    let generated = sluice::graphql::sdl();
    if std::env::var_os("SLUICE_UPDATE_SCHEMA").is_some() {
        std::fs::write(COMMITTED, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == generated,
        "schema.graphql is stale; run SLUICE_UPDATE_SCHEMA=1 cargo test --test schema"
    );
}

/// `.ci/run` shows what this prints.
#[test]
fn nothing_breaks_that_was_released_and_not_deprecated() {
    let found = differences(RELEASED, &sluice::graphql::sdl());
    for difference in &found {
        println!("{difference}");
    }
    if found.is_empty() {
        println!("the schema is that of the last release");
    }
    let breaking = found.iter().filter(|difference| difference.weight == Weight::Breaking).count();
    assert_eq!(
        breaking, 0,
        "keep what was released, or mark it @deprecated and remove it after the next release"
    );
}
