//! Pages of the windows of backfills: those that were begun are read, the others worked out.

use super::super::{Error, Services};
use crate::{
    domain::{
        access::Caller,
        backfill::{Backfill, BackfillWindow, WindowOrder, WindowStatus},
        list::Direction,
        page::{Key, Page, Slice, no_cursor},
        problem::{At, Problem},
        windows::Windows,
    },
    store::backfill_windows::{self, Wanted},
};

impl Services {
    /// A page of the windows of a backfill, in the order of time: those in one of these states, or, where none is
    /// named, all.
    pub async fn backfill_windows(
        &self,
        caller: &Caller,
        backfill: &Backfill,
        statuses: &[WindowStatus],
        page: &Page,
    ) -> Result<Slice<BackfillWindow>, Error> {
        caller.may_read()?;
        let (after, before) = bounds(page)?;
        let most = page.rows_to_fetch();
        let wanted = Wanted { after, before, ..begun(backfill, statuses) };
        let unbegun = match shows_unbegun(backfill, statuses) {
            true => between(backfill.unbegun_indexes(), after, before),
            false => 0..0,
        };
        let unbegun = |most| unbegun_windows(backfill, cut(unbegun.clone(), page.walk(), most));
        let read = async |most| {
            let db = self.store.reader();
            backfill_windows::some(db, backfill.id, &wanted, page.walk(), most).await
        };
        let unbegun_first =
            (backfill.order == WindowOrder::NewestFirst) == (page.walk() == Direction::Ascending);
        let mut windows = if unbegun_first { unbegun(most) } else { read(most).await? };
        let rest = most - windows.len() as u64;
        if rest > 0 {
            windows.extend(if unbegun_first { read(rest).await? } else { unbegun(rest) });
        }
        Ok(page.cut(windows))
    }

    /// How many windows of a backfill there are in one of these states, or, where none is named, in any.
    pub async fn backfill_window_count(
        &self,
        caller: &Caller,
        backfill: &Backfill,
        statuses: &[WindowStatus],
    ) -> Result<u64, Error> {
        caller.may_read()?;
        if statuses.is_empty() {
            return Ok(backfill.windows.count.into());
        }
        let wanted = begun(backfill, statuses);
        let begun = backfill_windows::count(self.store.reader(), backfill.id, &wanted).await?;
        Ok(begun + if shows_unbegun(backfill, statuses) { u64::from(backfill.unbegun()) } else { 0 })
    }

    /// A page of the windows of a backfill that was not made.
    pub fn planned_windows(&self, windows: &Windows, page: &Page) -> Result<Slice<BackfillWindow>, Error> {
        let (after, before) = bounds(page)?;
        let indexes = cut(between(0..windows.count, after, before), page.walk(), page.rows_to_fetch());
        let planned = |stretch| BackfillWindow { stretch, status: WindowStatus::Pending, batch_id: None };
        Ok(page.cut(windows.of(indexes).into_iter().map(planned).collect()))
    }
}

/// The windows that had been begun when the backfill was read.
fn begun(backfill: &Backfill, statuses: &[WindowStatus]) -> Wanted {
    Wanted { statuses: statuses.to_vec(), without: backfill.unbegun_indexes(), ..Wanted::default() }
}

fn shows_unbegun(backfill: &Backfill, statuses: &[WindowStatus]) -> bool {
    statuses.is_empty() || statuses.contains(&backfill.unbegun_status())
}

fn unbegun_windows(backfill: &Backfill, indexes: Vec<u32>) -> Vec<BackfillWindow> {
    let window = |stretch| BackfillWindow { stretch, status: backfill.unbegun_status(), batch_id: None };
    backfill.windows.of(indexes).into_iter().map(window).collect()
}

/// What of a range lies between two cursors.
fn between(range: std::ops::Range<u32>, after: Option<u32>, before: Option<u32>) -> std::ops::Range<u32> {
    let start = after.map_or(range.start, |after| range.start.max(after.saturating_add(1)));
    start..before.map_or(range.end, |before| range.end.min(before))
}

/// So many of a range, from its start or from its end.
fn cut(range: std::ops::Range<u32>, direction: Direction, most: u64) -> Vec<u32> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    match direction {
        Direction::Ascending => range.take(most).collect(),
        Direction::Descending => range.rev().take(most).collect(),
    }
}

/// The windows between which a page lies.
fn bounds(page: &Page) -> Result<(Option<u32>, Option<u32>), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut index = |key: Option<Key>, name| {
        let index =
            key.map(|key| u32::try_from(key.id.as_u128()).map_err(|_| no_cursor(&At::Root.field(name))));
        index.transpose().unwrap_or_else(|problem| {
            problems.push(problem);
            None
        })
    };
    let (after, before) = (index(page.after, "after"), index(page.before, "before"));
    if problems.is_empty() { Ok((after, before)) } else { Err(problems) }
}
