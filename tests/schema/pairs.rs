//! What two schemas have under the same name.

use std::collections::{BTreeMap, BTreeSet};

/// What has become of something that has a name.
pub enum Fate<T> {
    Removed(T),
    Kept(T, T),
    Added(T),
}

/// Every name of both sides, in alphabetical order, with what has become of it.
pub fn pairs<'a, T>(
    released: impl IntoIterator<Item = (&'a str, T)>,
    current: impl IntoIterator<Item = (&'a str, T)>,
) -> Vec<(&'a str, Fate<T>)> {
    let mut released: BTreeMap<&str, T> = released.into_iter().collect();
    let mut current: BTreeMap<&str, T> = current.into_iter().collect();
    let names: BTreeSet<&str> = released.keys().chain(current.keys()).copied().collect();
    let fate = |name| match (released.remove(name), current.remove(name)) {
        (Some(was), Some(is)) => Some((name, Fate::Kept(was, is))),
        (Some(was), None) => Some((name, Fate::Removed(was))),
        (None, Some(is)) => Some((name, Fate::Added(is))),
        (None, None) => None,
    };
    names.into_iter().filter_map(fate).collect()
}
