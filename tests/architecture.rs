//! The law of the house, as `src/lib.rs` states it: which room may use which, and which crates.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A room, the rooms it may use, and the crates that nobody without a mention of them may use.
struct Room {
    name: &'static str,
    rooms: &'static [&'static str],
    crates: &'static [&'static str],
}

const ROOMS: [Room; 18] = [
    Room { name: "domain", rooms: &[], crates: &[] },
    Room { name: "clock", rooms: &[], crates: &[] },
    Room { name: "cache", rooms: &[], crates: &[] },
    Room {
        name: "telemetry",
        rooms: &["clock", "domain"],
        crates: &["prometheus_client", "tracing_subscriber"],
    },
    Room { name: "config", rooms: &["domain", "issuer"], crates: &[] },
    Room { name: "issuer", rooms: &["domain"], crates: &["jsonwebtoken", "ureq"] },
    Room { name: "keyfile", rooms: &["config", "domain"], crates: &[] },
    Room { name: "entity", rooms: &[], crates: &["sea_orm"] },
    Room {
        name: "store",
        rooms: &["config", "domain", "entity"],
        crates: &["migration", "rusqlite", "sea_orm", "sea_query_sqlx"],
    },
    Room {
        name: "services",
        rooms: &["cache", "clock", "domain", "issuer", "store", "telemetry"],
        crates: &[],
    },
    Room { name: "demo", rooms: &["domain", "services"], crates: &[] },
    Room { name: "background", rooms: &["domain", "services", "store"], crates: &[] },
    Room {
        name: "graphql",
        rooms: &["cache", "domain", "services", "telemetry"],
        crates: &["apollo_compiler", "apollo_parser", "async_graphql", "async_graphql_value"],
    },
    Room { name: "rest", rooms: &["config", "domain", "services"], crates: &["actix_web"] },
    Room {
        name: "http",
        rooms: &["config", "domain", "graphql", "rest", "services", "telemetry"],
        crates: &["actix_cors", "actix_web", "actix_ws"],
    },
    Room {
        name: "app",
        rooms: &[
            "background",
            "clock",
            "config",
            "demo",
            "domain",
            "graphql",
            "http",
            "issuer",
            "keyfile",
            "services",
            "store",
            "telemetry",
        ],
        crates: &["actix_web"],
    },
    Room {
        name: "cli",
        rooms: &[
            "app",
            "clock",
            "config",
            "domain",
            "graphql",
            "issuer",
            "keyfile",
            "services",
            "store",
            "telemetry",
        ],
        crates: &["clap"],
    },
    Room { name: "main", rooms: &["cli"], crates: &[] },
];

const GUARDED_CRATES: [&str; 16] = [
    "actix_cors",
    "actix_web",
    "actix_ws",
    "apollo_compiler",
    "apollo_parser",
    "async_graphql",
    "async_graphql_value",
    "clap",
    "jsonwebtoken",
    "migration",
    "prometheus_client",
    "rusqlite",
    "sea_orm",
    "sea_query_sqlx",
    "tracing_subscriber",
    "ureq",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|entry| files(&entry)).collect()
}

fn room_of(file: &Path) -> String {
    let first = file.strip_prefix(source()).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The code of a file: no comments, and one line for each statement, so that a list of imports from
/// `crate` stands on one line.
fn statements(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let code: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with("//")).collect();
    code.join(" ").split(';').map(str::to_owned).collect()
}

/// The first step of every path that begins with `crate::` in a statement.
fn used_rooms(statement: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in statement.match_indices("crate::") {
        let rest = &statement[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for character in list.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(std::mem::take(&mut item)),
                    other if depth == 0 => item.push(other),
                    _ => {}
                }
            }
            rooms.push(item);
        } else {
            rooms.push(rest.to_owned());
        }
    }
    let first_step =
        |path: String| path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    rooms.into_iter().map(first_step).filter(|room: &String| !room.is_empty()).collect()
}

fn uses_crate(statement: &str, name: &str) -> bool {
    let used = format!("{name}::");
    statement.match_indices(&used).any(|(at, _)| {
        let before = statement[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn no_room_uses_one_that_the_law_keeps_from_it() {
    let mut breaches = Vec::new();
    for file in files(&source()) {
        let name = room_of(&file);
        if name == "lib" {
            continue;
        }
        let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
            panic!("{name} is a new room: add it to the map in src/lib.rs and to the law here");
        };
        for statement in statements(&file) {
            for used in used_rooms(&statement) {
                if used != name && !room.rooms.contains(&used.as_str()) {
                    breaches.push(format!("{}: {name} uses {used}", file.display()));
                }
            }
            for guarded in GUARDED_CRATES {
                if uses_crate(&statement, guarded) && !room.crates.contains(&guarded) {
                    breaches.push(format!("{}: {name} uses the crate {guarded}", file.display()));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "the law is broken:\n{}", breaches.join("\n"));
}

#[test]
fn imports_are_read_through_nested_lists() {
    let rooms = used_rooms("use crate::{ domain::{a, b::{c}}, store::{self, Db}, services::Error, }");
    assert_eq!(rooms, ["domain", "store", "services"]);
    assert_eq!(used_rooms("fn f() -> crate::store::Error"), ["store"]);
    assert!(
        uses_crate("let x = sea_orm::Set(1)", "sea_orm")
            && !uses_crate("let x = crate::sea_orm::y", "sea_orm")
    );
}
