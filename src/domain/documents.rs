//! How much a GraphQL document may ask for. Plain numbers: the config gives them, `graphql` keeps them.

/// What is refused of a document and its variables, before anything of it runs.
#[derive(Debug, Clone, Copy)]
pub struct DocumentLimits {
    /// The longest document, in bytes.
    pub bytes: usize,
    /// The most tokens: names, values, punctuation, and what stands between them.
    pub tokens: usize,
    /// How deep selections may stand in each other. A fragment is a step down, too.
    pub depth: usize,
    /// The most fields that an operation selects once its fragments stand where they are spread.
    pub fields: usize,
    /// The most of those fields that have an alias.
    pub aliases: usize,
    /// The most directives that an operation has once its fragments stand where they are spread.
    pub directives: usize,
    /// The most fields at the root of an operation.
    pub root_fields: usize,
    /// The most fragments that a document may define.
    pub fragments: usize,
    /// The highest cost of an operation: about how many values its answer may have.
    pub cost: u64,
    /// The longest values of all variables together, in bytes as JSON without spaces.
    pub variable_bytes: usize,
    /// How deep the values of variables may nest: the object of all of them is the first level.
    pub variable_depth: usize,
    /// The most items in one list, in the document or in the variables.
    pub list_items: usize,
    /// Whether the schema may be asked for.
    pub introspection: Introspection,
}

/// Whether the schema may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Introspection {
    /// It may.
    Shown,
    /// It may not, and errors don't help to guess it.
    Hidden,
}

impl DocumentLimits {
    /// What holds unless something else is asked for. GraphiQL's introspection takes 18 of the levels;
    /// 50 batches with all that they have cost a third of what an operation may. Lists and
    /// variables have room for all jobs of the largest batch.
    pub const DEFAULT: Self = Self {
        bytes: 256 * 1024,
        tokens: 50_000,
        depth: 32,
        fields: 5_000,
        aliases: 500,
        directives: 500,
        root_fields: 100,
        fragments: 200,
        cost: 100_000,
        variable_bytes: 4 * 1024 * 1024,
        variable_depth: 64,
        list_items: 50_000,
        introspection: Introspection::Shown,
    };
}
