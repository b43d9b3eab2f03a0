//! A page as WHERE, ORDER BY and LIMIT.

use sea_orm::{
    Iden, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Order as SqlOrder, SelectStatement, SimpleExpr, Value},
};

use crate::domain::{
    list::Direction,
    page::{Key, Page, SortValue},
};

/// The columns that an order sorts by: the one of its field, if that is not the id, and the id.
pub struct SortColumns<C> {
    /// What the list is sorted by first.
    pub field: Option<C>,
    /// What decides among equals.
    pub id: C,
}

/// Cuts `page` out of `select`.
pub fn cut<S, C>(select: S, page: &Page, columns: SortColumns<C>) -> S
where
    S: QuerySelect + QueryFilter<QueryStatement = SelectStatement> + QueryOrder,
    C: sea_orm::ColumnTrait + Iden,
{
    let columns: Vec<C> = columns.field.into_iter().chain([columns.id]).collect();
    let mut select = select.limit(page.rows_to_fetch());
    for (key, follows) in
        [(&page.after, page.order.direction), (&page.before, page.order.direction.reversed())]
    {
        if let Some(key) = key {
            select = select.filter(beyond(&columns, key, follows));
        }
    }
    let order = match page.walk() {
        Direction::Ascending => SqlOrder::Asc,
        Direction::Descending => SqlOrder::Desc,
    };
    columns.into_iter().fold(select, |select, column| select.order_by(column, order.clone()))
}

/// The rows that come after `key` when the list runs in this direction, as one comparison of row
/// values, which both databases answer from an index on the columns.
fn beyond<C: sea_orm::ColumnTrait>(columns: &[C], key: &Key, direction: Direction) -> SimpleExpr {
    let value: Option<Value> = match key.value {
        SortValue::Id => None,
        SortValue::Time(time) => Some(time.into()),
        SortValue::Number(number) => Some(number.into()),
    };
    let columns = Expr::tuple(columns.iter().map(|column| Expr::col((column.entity_name(), *column))));
    let values = Expr::tuple(value.into_iter().chain([key.id.into()]).map(Expr::val));
    match direction {
        Direction::Ascending => columns.gt(values),
        Direction::Descending => columns.lt(values),
    }
}
