//! Documents on their way to the executor: read, measured, validated, and kept for the next request.
//!
//! A document goes through this once. It is refused when it is too long ([`DocumentLimits`]), when it asks
//! for too much ([`measure`]), when the schema has no answer to it ([`validate`]). Else it becomes what the
//! executor takes ([`convert`]), with a formula for its [`cost`], and is kept ([`crate::cache`]). A request with a
//! known document costs the check of its variables ([`inputs`], [`variables`]), working out the formula, and a
//! copy of the document, which the executor wants for its own.
//!
//! The executor's validation departs from the specification, and refuses what is right, so its checks are
//! left at the least it can do.

mod convert;
mod cost;
mod hints;
mod inputs;
mod known;
mod lines;
mod measure;
mod rules;
mod subscriptions;
mod syntax;
mod validate;
mod variables;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use apollo_compiler::{Node, Schema, ast, executable, validation::Valid};
use async_graphql::{
    Name, Pos, Positioned, ServerError, Value, Variables,
    parser::types::{
        DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType,
    },
};
use serde_json::Value as Json;

pub use self::{
    cost::Pages,
    known::{Asked, DocumentHash, Registered},
};

use self::{convert::Converter, cost::Cost, lines::Lines, measure::Excess};
use super::{response::Executed, schema::sdl};
use crate::{
    cache::{Bounds, Cache},
    domain::{documents::DocumentLimits, refusal::Refusal},
    telemetry::{Lookup, Metrics},
};

/// What apollo-compiler's introspection lacks and ours has.
const IS_ONE_OF: &str = "\nextend type __Type { isOneOf: Boolean }";

/// The schema as the validation has it: the same for all requests and servers.
static SCHEMA: LazyLock<Valid<Schema>> = LazyLock::new(|| {
    let schema = Schema::parse_and_validate(sdl() + IS_ONE_OF, "schema.graphql");
    schema.unwrap_or_else(|invalid| {
        tracing::error!(errors = %invalid.errors, "the schema is not valid");
        Valid::assume_valid(invalid.partial)
    })
});

/// How many documents are kept, and how many texts.
const KEPT: Bounds = Bounds { things: 1_000, bytes: 32 * 1024 * 1024 };
/// About how much memory a token of a document takes, in bytes, once it is what the executor takes.
const BYTES_OF_TOKEN: usize = 200;

/// The input fields that are never kept. Who writes credentials or a lease into a document, and not into a variable,
/// shall not find them in the memory of the server after the request.
const SECRETS: [&str; 2] = ["credentials", "lease"];

/// All documents that requests bring.
pub struct Documents {
    limits: DocumentLimits,
    known: Cache<Arc<str>, Arc<Document>>,
    /// The texts that clients have sent along with their hashes, by these.
    texts: Cache<Arc<str>, Arc<String>>,
    /// Nothing but these may run.
    registered: Option<Registered>,
    metrics: Arc<Metrics>,
}

/// A document that may run.
pub struct Document {
    operations: Vec<Operation>,
    fragments: HashMap<Name, Positioned<FragmentDefinition>>,
}

/// An operation of a document.
pub struct Operation {
    name: Option<Name>,
    definition: Positioned<OperationDefinition>,
    /// Its variables, with types that know the schema.
    variables: Vec<(Node<ast::VariableDefinition>, Pos)>,
    /// The default values of its variables.
    defaults: Vec<(Name, Value)>,
    cost: Cost,
}

impl Documents {
    /// No documents yet, but those that are registered. What is wrong with one of these is a sentence.
    pub fn new(
        limits: DocumentLimits,
        registered: Option<Registered>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        // Here, not under the first request.
        LazyLock::force(&SCHEMA);
        let documents =
            Self { limits, known: Cache::within(KEPT), texts: Cache::within(KEPT), registered, metrics };
        for (name, text) in documents.registered.iter().flat_map(Registered::named) {
            documents.get(text).map_err(|refused| format!("{name}: {}", refused.json))?;
        }
        Ok(documents)
    }

    /// The document that is asked for, or why it is refused.
    pub fn find(&self, asked: &Asked) -> Result<Arc<Document>, Executed> {
        match asked {
            Asked::Text(text) => self.get(self.allowed(text)?),
            Asked::Hash(hash) => {
                let registered = self.registered.as_ref().and_then(|registered| registered.get(hash));
                match (registered, self.texts.get(hash.as_str())) {
                    (Some(text), _) => self.get(text),
                    (None, Some(text)) => self.get(self.allowed(&text)?),
                    // The words for which Apollo's clients look.
                    (None, None) => {
                        Err(Executed::refusal(Refusal::PersistedQueryNotFound, "PersistedQueryNotFound"))
                    }
                }
            }
            Asked::Both(text, hash) => {
                if DocumentHash::of(text) != *hash {
                    let message = "`persistedQuery.sha256Hash` is not the SHA-256 of `query`";
                    return Err(Executed::refusal(Refusal::PersistedQueryMismatch, message));
                }
                let document = self.get(self.allowed(text)?)?;
                if !may_hold_secrets(text) {
                    self.texts.put(hash.as_str().into(), Arc::new(text.clone()), text.len());
                }
                Ok(document)
            }
        }
    }

    /// The text, if it is one that may run here.
    fn allowed<'a>(&self, text: &'a str) -> Result<&'a str, Executed> {
        let Some(registered) = &self.registered else { return Ok(text) };
        let text = text.trim();
        if registered.get(&DocumentHash::of(text)).is_some() {
            return Ok(text);
        }
        let message = "this server runs registered operations only, and this is none of them";
        Err(Executed::refusal(Refusal::OperationNotRegistered, message))
    }

    /// The document with this text, or why it is refused.
    fn get(&self, text: &str) -> Result<Arc<Document>, Executed> {
        if let Some(known) = self.known.get(text) {
            self.metrics.looked_up(Lookup::Hit);
            return Ok(known);
        }
        self.metrics.looked_up(Lookup::Miss);
        let (document, tokens) = self.read(text)?;
        let document = Arc::new(document);
        if !may_hold_secrets(text) {
            self.known.put(text.into(), document.clone(), text.len() + tokens * BYTES_OF_TOKEN);
        }
        Ok(document)
    }

    /// Refuses an operation that costs too much.
    pub fn check_cost(&self, cost: u64) -> Result<(), Executed> {
        let limit = self.limits.cost;
        if cost <= limit {
            return Ok(());
        }
        let message = format!(
            "the operation costs {cost}; at most {limit} are allowed. Ask for smaller pages or fewer fields"
        );
        Err(Executed::refusal(Refusal::CostTooHigh, &message))
    }

    /// Refuses values of variables that are over a limit.
    pub fn check_variables(&self, values: &Json) -> Result<(), Executed> {
        inputs::check(values, &self.limits).map_err(exceeds)
    }

    fn read(&self, text: &str) -> Result<(Document, usize), Executed> {
        let (read, tokens) = syntax::parse(text, &self.limits)?;
        measure::check(&read, &self.limits).map_err(exceeds)?;
        let lines = Lines::new(text);
        let document = validate::validate(&read, &lines, &SCHEMA, &self.limits)
            .and_then(|valid| Document::of(&valid, &lines).map_err(|error| vec![error]))
            .map_err(|errors| Executed::refused(errors, Refusal::ValidationFailed))?;
        Ok((document, tokens))
    }
}

fn exceeds(excess: Excess) -> Executed {
    Executed::refusal(excess.refusal, &excess.message)
}

/// Whether credentials or a lease may be written into a document. One that selects them, or takes them from a
/// variable, holds none.
fn may_hold_secrets(text: &str) -> bool {
    let ignored = [' ', '\t', '\r', '\n', ',', '\u{feff}'];
    SECRETS.iter().flat_map(|name| text.match_indices(name)).any(|(at, name)| {
        // A variable with this name, or a longer name.
        if text[..at]
            .ends_with(|before: char| before == '$' || before == '_' || before.is_ascii_alphanumeric())
        {
            return false;
        }
        let rest = text[at + name.len()..].trim_start_matches(ignored);
        match rest.strip_prefix(':') {
            Some(value) => !value.trim_start_matches(ignored).starts_with('$'),
            // The colon may follow the comment.
            None => rest.starts_with('#'),
        }
    })
}

impl Document {
    fn of(valid: &executable::ExecutableDocument, lines: &Lines<'_>) -> Result<Self, ServerError> {
        let converter = Converter::new(lines);
        let fragment = |(name, fragment): (&apollo_compiler::Name, _)| {
            Ok((Name::new(name), converter.fragment(fragment)?))
        };
        let fragments = valid.fragments.iter().map(fragment).collect::<Result<_, ServerError>>()?;
        let operation = |read: &Node<executable::Operation>| {
            let mut definition = converter.operation(read)?;
            if definition.node.ty == OperationType::Subscription {
                subscriptions::prepare(&mut definition, &fragments)?;
            }
            Ok(Operation::of(read, definition, Cost::of(read, valid, &SCHEMA)))
        };
        let operations = valid.operations.iter().map(operation).collect::<Result<_, ServerError>>()?;
        Ok(Self { operations, fragments })
    }

    /// The operation that shall run.
    pub fn operation(&self, name: Option<&str>) -> Result<&Operation, Executed> {
        let refused = |message: &str| Executed::refusal(Refusal::ValidationFailed, message);
        match (name, self.operations.as_slice()) {
            (None, [operation]) => Ok(operation),
            (None, _) => Err(refused("the document has several operations: name one in `operationName`")),
            (Some(name), operations) => {
                let named = |operation: &&Operation| operation.name.as_deref() == Some(name);
                let unknown = || refused(&format!("the document has no operation named `{:.100}`", name));
                operations.iter().find(named).ok_or_else(unknown)
            }
        }
    }

    /// What the executor takes: this operation, and what it may spread.
    pub fn with(&self, operation: &Operation) -> ExecutableDocument {
        let operations = DocumentOperations::Single(operation.definition.clone());
        ExecutableDocument { operations, fragments: self.fragments.clone() }
    }
}

impl Operation {
    fn of(read: &executable::Operation, definition: Positioned<OperationDefinition>, cost: Cost) -> Self {
        let converted = &definition.node.variable_definitions;
        let variables = read.variables.iter().zip(converted);
        let variables = variables.map(|(read, converted)| (read.clone(), converted.pos));
        let defaults = converted.iter().filter_map(|variable| {
            let default = variable.node.default_value.as_ref()?;
            Some((variable.node.name.node.clone(), default.node.clone()))
        });
        Self {
            name: read.name.as_ref().map(Name::new),
            variables: variables.collect(),
            defaults: defaults.collect(),
            definition,
            cost,
        }
    }

    /// What it does.
    pub fn operation_type(&self) -> OperationType {
        self.definition.node.ty
    }

    /// The values of its variables as the executor takes them, with the default values of those that are
    /// missing, which it would pass over in `@skip` and `@include`.
    pub fn variables(&self, mut values: Json) -> Result<Variables, Executed> {
        let mut empty = serde_json::Map::new();
        let given = values.as_object_mut().unwrap_or(&mut empty);
        let mut misfits: Vec<ServerError> = Vec::new();
        for (variable, place) in &self.variables {
            if let Some(message) = variables::misfit(variable, given, &SCHEMA) {
                misfits.push(validate::server_error(&message, *place));
            }
        }
        if !misfits.is_empty() {
            return Err(Executed::refused(misfits, Refusal::ValidationFailed));
        }
        let mut variables = Variables::from_json(values);
        for (name, value) in &self.defaults {
            if !variables.contains_key(name) {
                variables.insert(name.clone(), value.clone());
            }
        }
        Ok(variables)
    }

    /// Whether it asks for pages of lists.
    pub fn pages(&self) -> Pages {
        self.cost.pages()
    }

    /// What it costs with these values of its variables.
    pub fn cost(&self, variables: &Variables) -> u64 {
        self.cost.value(variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_kept(text: &str) -> bool {
        let documents = Documents::new(DocumentLimits::DEFAULT, None, Arc::default()).unwrap();
        let [first, second] = [documents.get(text), documents.get(text)].map(Result::unwrap);
        Arc::ptr_eq(&first, &second)
    }

    #[test]
    fn the_schema_is_valid_for_the_validation() {
        Schema::parse_and_validate(sdl() + IS_ONE_OF, "").unwrap();
    }

    #[test]
    fn a_document_is_read_once() {
        assert!(is_kept("query ($n: Int) { batches(first: $n) { nodes { id } } }"));
    }

    #[test]
    fn credentials_and_leases_are_not_kept() {
        let input = |credentials: &str| format!("{{ name: \"a\", provider: \"csv\", {credentials} }}");
        let mutation =
            |input| format!("mutation {{ createConnection(input: {input}) {{ userErrors {{ code }} }} }}");
        assert!(is_kept(&mutation(input("config: {}"))));
        for written in
            ["credentials: { password: \"x\" }", "credentials # a comment\n: {}", "credentials :{}"]
        {
            assert!(!is_kept(&mutation(input(written))), "{written}");
        }
        assert!(is_kept("mutation { claimJobs(input: { worker: \"w\" }) { claims { credentials lease } } }"));
        let complete = |variables, lease| {
            format!(
                "mutation {variables} {{ completeJob(input: {{ lease: {lease} }}) {{ userErrors {{ code }} }} }}"
            )
        };
        assert!(!is_kept(&complete("", "\"lease_x\"")));
        assert!(is_kept(&complete("($lease: String!)", "$lease")));
        for variable in ["$secret", "$credentials"] {
            let definition = format!("mutation ({variable}: JSON)");
            let by_variable =
                mutation(input(&format!("credentials: {variable}"))).replacen("mutation", &definition, 1);
            assert!(is_kept(&by_variable), "{by_variable}");
        }
    }
}
