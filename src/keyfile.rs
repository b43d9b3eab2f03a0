//! Where the keys that seal credentials come from: a file that is named, the environment, or a file that is made
//! beside an SQLite database.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    config::{DatabaseUrl, KeySource},
    domain::keyring::{KEY, KeyId, Keyring, SecretKey},
};

/// The id of a key that is made here.
const FIRST: &str = "1";

/// What is done about the key file beside an SQLite database, if it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// One is made: the database has not known a key yet.
    IsMade,
    /// It was there: a new key could not open what it has sealed, and would hide that it is gone.
    IsWrong,
}

/// The keys from there; `None` where there are none and none can be made: beside a PostgreSQL, of which other
/// servers would not know. What is wrong is a sentence that repeats no key.
pub fn keyring(
    source: &KeySource,
    database: &DatabaseUrl,
    missing: Missing,
) -> Result<Option<Keyring>, String> {
    match source {
        KeySource::Text(text) => {
            Keyring::parse(text.reveal()).map(Some).map_err(|error| format!("SLUICE_SECRET_KEY: {error}"))
        }
        KeySource::File(path) => read(path).map(Some),
        KeySource::Unnamed => match database {
            DatabaseUrl::Postgres(_) => Ok(None),
            DatabaseUrl::Sqlite(url) => {
                let path = beside(url);
                if missing == Missing::IsMade {
                    make(&path)
                        .map_err(|error| format!("cannot make the key file {}: {error}", path.display()))?;
                } else if !path.exists() {
                    return Err(format!(
                        "the key file {} is missing, and this database knows a key that was in it; put it back",
                        path.display()
                    ));
                }
                read(&path).map(Some)
            }
        },
    }
}

fn read(path: &Path) -> Result<Keyring, String> {
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| format!("cannot read the key file {}: {error}", path.display()))?;
    Keyring::parse(&text).map_err(|error| format!("the key file {}: {error}", path.display()))
}

/// Makes a new key, unless the file is there: then it is left as it is. It is whole before it has its name, so
/// that of two who start at once neither reads half of it.
fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut bytes = Zeroizing::new([0; KEY]);
    getrandom::fill(&mut *bytes).map_err(io::Error::other)?;
    let line = SecretKey::new(KeyId::stored(FIRST.into()), bytes).line();
    let new = path.with_extension(format!("new-{}", std::process::id()));
    write(&new, line.as_bytes())?;
    let linked = fs::hard_link(&new, path);
    fs::remove_file(&new)?;
    match linked {
        // Somebody else was faster, and theirs is as good.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

/// For the owner alone to read.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// `sluice.db.key` for `sqlite:sluice.db`.
fn beside(url: &str) -> PathBuf {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or_default();
    PathBuf::from(format!("{path}.key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stands_beside_the_database() {
        for (url, path) in [
            ("sqlite:sluice.db", "sluice.db.key"),
            ("sqlite://sluice.db?mode=rwc", "sluice.db.key"),
            ("sqlite:///var/lib/sluice.db", "/var/lib/sluice.db.key"),
        ] {
            assert_eq!(beside(url), Path::new(path), "{url}");
        }
    }
}
