//! `schema.graphql` is what the code says. `SLUICE_UPDATE_SCHEMA=1 cargo test --test schema` rewrites it.

#[test]
fn the_committed_schema_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let generated = sluice::graphql::sdl();
    if std::env::var_os("SLUICE_UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == generated,
        "schema.graphql is stale; run SLUICE_UPDATE_SCHEMA=1 cargo test --test schema"
    );
}
