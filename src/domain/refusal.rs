//! Why an operation of GraphQL is not run, or given up.

/// Why an operation is not run, or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Its document can't be read.
    ParseFailed,
    /// The schema has no answer to it, or a value does not fit.
    ValidationFailed,
    /// Its document is longer than allowed.
    DocumentTooLong,
    /// It nests too deep.
    QueryTooDeep,
    /// It selects too many fields.
    QueryTooComplex,
    /// It has too many aliases.
    TooManyAliases,
    /// It has too many directives.
    TooManyDirectives,
    /// It has too many fields at its root.
    TooManyRootFields,
    /// Its document defines too many fragments.
    TooManyFragments,
    /// It costs too much.
    CostTooHigh,
    /// The values of its variables are longer than allowed.
    VariablesTooLarge,
    /// The values of its variables nest too deep.
    VariablesTooDeep,
    /// A list among its values has too many items.
    ListTooLong,
    /// It comes with too many others.
    TooManyOperations,
    /// It took too long.
    TooSlow,
    /// The way on which it came runs no mutations.
    MethodNotAllowed,
    /// It is a subscription, and was not asked for as a stream.
    SubscriptionNeedsStream,
    /// No document is known by its hash.
    PersistedQueryNotFound,
    /// Its hash is that of another document.
    PersistedQueryMismatch,
    /// The operator has not registered it.
    OperationNotRegistered,
    /// It would change something, and then show what its caller may not read.
    Forbidden,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::ParseFailed,
        Self::ValidationFailed,
        Self::DocumentTooLong,
        Self::QueryTooDeep,
        Self::QueryTooComplex,
        Self::TooManyAliases,
        Self::TooManyDirectives,
        Self::TooManyRootFields,
        Self::TooManyFragments,
        Self::CostTooHigh,
        Self::VariablesTooLarge,
        Self::VariablesTooDeep,
        Self::ListTooLong,
        Self::TooManyOperations,
        Self::TooSlow,
        Self::MethodNotAllowed,
        Self::SubscriptionNeedsStream,
        Self::PersistedQueryNotFound,
        Self::PersistedQueryMismatch,
        Self::OperationNotRegistered,
        Self::Forbidden,
    ];

    /// The code that a client is told: stable, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::DocumentTooLong => "DOCUMENT_TOO_LONG",
            Self::QueryTooDeep => "QUERY_TOO_DEEP",
            Self::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Self::TooManyAliases => "TOO_MANY_ALIASES",
            Self::TooManyDirectives => "TOO_MANY_DIRECTIVES",
            Self::TooManyRootFields => "TOO_MANY_ROOT_FIELDS",
            Self::TooManyFragments => "TOO_MANY_FRAGMENTS",
            Self::CostTooHigh => "COST_TOO_HIGH",
            Self::VariablesTooLarge => "VARIABLES_TOO_LARGE",
            Self::VariablesTooDeep => "VARIABLES_TOO_DEEP",
            Self::ListTooLong => "LIST_TOO_LONG",
            Self::TooManyOperations => "TOO_MANY_OPERATIONS",
            Self::TooSlow => "TOO_SLOW",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::SubscriptionNeedsStream => "SUBSCRIPTION_NEEDS_STREAM",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::PersistedQueryMismatch => "PERSISTED_QUERY_MISMATCH",
            Self::OperationNotRegistered => "OPERATION_NOT_REGISTERED",
            Self::Forbidden => "FORBIDDEN",
        }
    }
}
