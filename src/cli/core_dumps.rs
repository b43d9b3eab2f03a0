//! Who may look into the program's memory, where keys, tokens and credentials are while they are used.

use std::io;

use clap::ValueEnum;

/// Whether the system may write the program's memory into a file when it crashes, and lets debuggers of the same
/// user look into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CoreDumps {
    /// It does not, where it is Linux.
    Refused,
    /// It does, as far as its own settings go.
    Allowed,
}

impl CoreDumps {
    /// Tells the system.
    pub fn apply(self) -> io::Result<()> {
        match self {
            Self::Refused => refuse(),
            Self::Allowed => Ok(()),
        }
    }
}

#[cfg(target_os = "linux")]
fn refuse() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(not(target_os = "linux"))]
fn refuse() -> io::Result<()> {
    Ok(())
}
