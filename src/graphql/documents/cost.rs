//! What an operation costs: about how many values its answer may have.
//!
//! A field costs 1. What is selected of the items of a page costs as much as that times the size of the
//! page; of any other list, times [`ASSUMED`]. The size of a page may stand in a variable. So an
//! operation is kept as a [`Cost`], where all is added up that can be, and worked out for each request
//! in as many steps as there are sizes in variables.

use std::collections::HashMap;

use apollo_compiler::{Schema, ast, executable};
use async_graphql::{Name, Value, Variables};

use crate::domain::page::{DEFAULT_PAGE, MAX_PAGE};

/// How many items a list is taken to have that says nothing of its length: the jobs of a batch, what a
/// job depends on.
const ASSUMED: u64 = 10;

/// The cost of an operation, but for the values of its variables.
#[derive(Debug, Default)]
pub struct Cost {
    /// The sums that the last one, which is the operation's, is made of; each of those before it.
    sums: Vec<Sum>,
    pages: Pages,
}

/// Whether an operation asks for pages of lists.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// It does not.
    #[default]
    None,
    /// It does: its caller must be one who may read.
    Some,
}

/// The cost of a selection, worked out as far as it can be.
#[derive(Debug, Default, Clone)]
struct Sum {
    known: Worth,
    terms: Vec<Term>,
}

/// What a selection costs.
#[derive(Debug, Default, Clone, Copy)]
struct Worth {
    once: u64,
    /// For each item of the page that the selection is of.
    each: u64,
}

#[derive(Debug, Clone)]
struct Term {
    role: Role,
    /// The place of what is selected in [`Cost::sums`].
    of: usize,
}

/// What a selection is in the one around it.
#[derive(Debug, Clone)]
enum Role {
    /// A fragment, or an object.
    Part,
    /// The items of a page: `nodes` or `edges`.
    Items,
    /// A page.
    Page(Size),
    /// A list.
    List(Size),
}

/// How many items there are.
#[derive(Debug, Clone)]
enum Size {
    Known(u64),
    /// As many as one of the arguments `first` and `last` says.
    Page([Option<Given>; 2]),
    /// As many as the list in a variable has.
    Listed(Name),
}

/// An argument that is not null.
#[derive(Debug, Clone)]
enum Given {
    Number(u64),
    Variable(Name),
}

impl Worth {
    fn add(&mut self, role: &Role, of: Self, variables: &Variables) {
        match role {
            Role::Part => {
                self.once = self.once.saturating_add(of.once);
                self.each = self.each.saturating_add(of.each);
            }
            Role::Items => self.each = self.each.saturating_add(of.once),
            Role::Page(size) => {
                let items = of.each.saturating_mul(size.value(variables));
                self.once = self.once.saturating_add(of.once).saturating_add(items);
            }
            Role::List(size) => {
                self.once = self.once.saturating_add(of.once.saturating_mul(size.value(variables)));
            }
        }
    }
}

impl Size {
    fn value(&self, variables: &Variables) -> u64 {
        let page = match self {
            Self::Known(size) => return *size,
            Self::Listed(name) => return listed(variables.get(name)),
            Self::Page(arguments) => arguments.iter().flatten().find_map(|given| match given {
                Given::Number(number) => Some(*number),
                Given::Variable(name) => match variables.get(name)? {
                    Value::Number(number) => Some(number.as_u64().unwrap_or_default()),
                    _ => None,
                },
            }),
        };
        // A larger page is refused by whoever reads it.
        page.unwrap_or(DEFAULT_PAGE.into()).min(MAX_PAGE.into())
    }

    fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }
}

fn listed(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::List(items)) => items.len() as u64,
        Some(_) | None => 1,
    }
}

impl Cost {
    /// The cost of an operation. Its fragments must not spread each other in a circle.
    pub fn of(
        operation: &executable::Operation,
        document: &executable::ExecutableDocument,
        schema: &Schema,
    ) -> Self {
        let mut adder =
            Adder { document, schema, fragments: HashMap::new(), sums: Vec::new(), pages: Pages::None };
        let sum = adder.selection(&operation.selection_set);
        adder.sums.push(sum);
        Self { sums: adder.sums, pages: adder.pages }
    }

    /// Whether the operation asks for pages of lists.
    pub fn pages(&self) -> Pages {
        self.pages
    }

    /// What it is with these values of the variables.
    pub fn value(&self, variables: &Variables) -> u64 {
        let mut worth: Vec<Worth> = Vec::with_capacity(self.sums.len());
        for sum in &self.sums {
            let mut total = sum.known;
            for term in &sum.terms {
                total.add(&term.role, worth.get(term.of).copied().unwrap_or_default(), variables);
            }
            worth.push(total);
        }
        worth.last().map_or(0, |worth| worth.once)
    }
}

/// Adds up what an operation selects.
struct Adder<'a> {
    document: &'a executable::ExecutableDocument,
    schema: &'a Schema,
    /// Each fragment is added up once, however often it is spread.
    fragments: HashMap<&'a str, Sum>,
    sums: Vec<Sum>,
    pages: Pages,
}

impl<'a> Adder<'a> {
    fn selection(&mut self, set: &'a executable::SelectionSet) -> Sum {
        let mut sum = Sum::default();
        for selection in &set.selections {
            match selection {
                executable::Selection::Field(field) => {
                    sum.known.once = sum.known.once.saturating_add(1);
                    if !field.selection_set.is_empty() {
                        let of = self.selection(&field.selection_set);
                        let role = self.role(field, &set.ty);
                        if matches!(role, Role::Page(_)) {
                            self.pages = Pages::Some;
                        }
                        self.put(&mut sum, role, of);
                    }
                }
                executable::Selection::InlineFragment(inline) => {
                    let of = self.selection(&inline.selection_set);
                    self.put(&mut sum, Role::Part, of);
                }
                executable::Selection::FragmentSpread(spread) => {
                    let of = self.fragment(&spread.fragment_name);
                    self.put(&mut sum, Role::Part, of);
                }
            }
        }
        sum
    }

    fn fragment(&mut self, name: &'a str) -> Sum {
        if let Some(sum) = self.fragments.get(name) {
            return sum.clone();
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Sum::default() };
        let mut sum = self.selection(&fragment.selection_set);
        if !sum.terms.is_empty() {
            // Kept once, and referred to by whoever spreads it.
            self.sums.push(sum);
            sum = Sum { terms: vec![Term { role: Role::Part, of: self.sums.len() - 1 }], ..Sum::default() };
        }
        self.fragments.insert(name, sum.clone());
        sum
    }

    /// Adds a selection to the one around it.
    fn put(&mut self, sum: &mut Sum, role: Role, of: Sum) {
        let is_known = match &role {
            Role::Part => {
                sum.terms.extend(of.terms);
                return sum.known.add(&role, of.known, &Variables::default());
            }
            Role::Items => true,
            Role::Page(size) | Role::List(size) => size.is_known(),
        };
        if is_known && of.terms.is_empty() {
            sum.known.add(&role, of.known, &Variables::default());
        } else {
            self.sums.push(of);
            sum.terms.push(Term { role, of: self.sums.len() - 1 });
        }
    }

    /// What the selection of a field is in `parent`, the type that has the field.
    fn role(&self, field: &executable::Field, parent: &str) -> Role {
        let lists = list_levels(field.ty());
        if lists == 0 {
            return match self.is_page(field.ty().inner_named_type()) {
                true => Role::Page(page_size(field)),
                false => Role::Part,
            };
        }
        if self.is_page(parent) {
            return Role::Items;
        }
        Role::List(match field.specified_argument_by_name("ids").map(|ids| &**ids) {
            Some(ast::Value::List(ids)) => Size::Known(ids.len() as u64),
            Some(ast::Value::Variable(name)) => Size::Listed(Name::new(name)),
            Some(_) => Size::Known(1),
            None if field.definition.argument_by_name("first").is_some() => page_size(field),
            None => Size::Known(ASSUMED.saturating_pow(lists)),
        })
    }

    /// Whether a type is a page of a list.
    fn is_page(&self, name: &str) -> bool {
        self.schema.type_field(name, "pageInfo").is_ok()
    }
}

fn list_levels(of: &ast::Type) -> u32 {
    match of {
        ast::Type::Named(_) | ast::Type::NonNullNamed(_) => 0,
        ast::Type::List(item) | ast::Type::NonNullList(item) => 1 + list_levels(item),
    }
}

fn page_size(field: &executable::Field) -> Size {
    let given = |name| match &**field.specified_argument_by_name(name)? {
        ast::Value::Int(number) => Some(Given::Number(number.as_str().parse().unwrap_or_default())),
        ast::Value::Variable(name) => Some(Given::Variable(Name::new(name))),
        _ => None,
    };
    let size = Size::Page([given("first"), given("last")]);
    let Size::Page([None | Some(Given::Number(_)), None | Some(Given::Number(_))]) = size else {
        return size;
    };
    Size::Known(size.value(&Variables::default()))
}
