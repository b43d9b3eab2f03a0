//! A document as the executor takes it, from the one that was read and validated.
//!
//! The executor's own parser is not used: it refuses surrogate pairs in strings, `\u{…}`, types with
//! spaces in them and comments in places, and it would read everything a second time.

use apollo_compiler::{
    Name as ReadName, Node,
    ast::{self, DirectiveList},
    executable as read,
};
use async_graphql::{
    Name, Pos, Positioned, ServerError, Value as ConstValue,
    parser::types::{
        BaseType, Directive, Field, FragmentDefinition, FragmentSpread, InlineFragment, OperationDefinition,
        OperationType, Selection, SelectionSet, Type, TypeCondition, VariableDefinition,
    },
};
use async_graphql_value::{Number, Value};

use super::lines::Lines;

type Converted<T> = Result<T, ServerError>;

/// Makes nodes of the executor's document, which say where they stand.
pub struct Converter<'a> {
    lines: &'a Lines<'a>,
}

impl<'a> Converter<'a> {
    /// For the document that has these lines.
    pub fn new(lines: &'a Lines<'a>) -> Self {
        Self { lines }
    }

    /// An operation.
    pub fn operation(&self, operation: &Node<read::Operation>) -> Converted<Positioned<OperationDefinition>> {
        let ty = match operation.operation_type {
            ast::OperationType::Query => OperationType::Query,
            ast::OperationType::Mutation => OperationType::Mutation,
            ast::OperationType::Subscription => OperationType::Subscription,
        };
        let pos = self.lines.of(operation.location());
        let variables = operation.variables.iter().map(|variable| self.variable(variable));
        let operation = OperationDefinition {
            ty,
            variable_definitions: variables.collect::<Converted<_>>()?,
            directives: self.directives(&operation.directives)?,
            selection_set: Positioned::new(self.selections(&operation.selection_set)?, pos),
        };
        Ok(Positioned::new(operation, pos))
    }

    /// A fragment.
    pub fn fragment(&self, fragment: &Node<read::Fragment>) -> Converted<Positioned<FragmentDefinition>> {
        let pos = self.lines.of(fragment.location());
        let definition = FragmentDefinition {
            type_condition: self.condition(fragment.type_condition()),
            directives: self.directives(&fragment.directives)?,
            selection_set: Positioned::new(self.selections(&fragment.selection_set)?, pos),
        };
        Ok(Positioned::new(definition, pos))
    }

    fn variable(
        &self,
        variable: &Node<ast::VariableDefinition>,
    ) -> Converted<Positioned<VariableDefinition>> {
        let default = variable.default_value.as_ref().map(|value| self.constant(value)).transpose()?;
        let definition = VariableDefinition {
            name: self.name(&variable.name),
            var_type: Positioned::new(of_type(&variable.ty), self.lines.of(variable.ty.location())),
            directives: self.directives(&variable.directives)?,
            default_value: default,
        };
        Ok(Positioned::new(definition, self.lines.of(variable.location())))
    }

    fn directives(&self, directives: &DirectiveList) -> Converted<Vec<Positioned<Directive>>> {
        let directive = |directive: &Node<ast::Directive>| {
            let arguments = self.arguments(&directive.arguments)?;
            let converted = Directive { name: self.name(&directive.name), arguments };
            Ok(Positioned::new(converted, self.lines.of(directive.location())))
        };
        directives.iter().map(directive).collect()
    }

    fn selections(&self, set: &read::SelectionSet) -> Converted<SelectionSet> {
        let items = set.selections.iter().map(|selection| {
            let (selection, pos) = match selection {
                read::Selection::Field(field) => {
                    let field = self.field(field)?;
                    let pos = field.pos;
                    (Selection::Field(field), pos)
                }
                read::Selection::FragmentSpread(spread) => {
                    let pos = self.lines.of(spread.location());
                    let fragment_name = self.name(&spread.fragment_name);
                    let spread =
                        FragmentSpread { fragment_name, directives: self.directives(&spread.directives)? };
                    (Selection::FragmentSpread(Positioned::new(spread, pos)), pos)
                }
                read::Selection::InlineFragment(inline) => {
                    let pos = self.lines.of(inline.location());
                    let inline = self.inline_fragment(inline, pos)?;
                    (Selection::InlineFragment(Positioned::new(inline, pos)), pos)
                }
            };
            Ok(Positioned::new(selection, pos))
        });
        Ok(SelectionSet { items: items.collect::<Converted<_>>()? })
    }

    fn field(&self, field: &Node<read::Field>) -> Converted<Positioned<Field>> {
        let pos = self.lines.of(field.location());
        let converted = Field {
            alias: field.alias.as_ref().map(|alias| self.name(alias)),
            name: self.name(&field.name),
            arguments: self.arguments(&field.arguments)?,
            directives: self.directives(&field.directives)?,
            selection_set: Positioned::new(self.selections(&field.selection_set)?, pos),
        };
        Ok(Positioned::new(converted, pos))
    }

    fn inline_fragment(&self, inline: &read::InlineFragment, pos: Pos) -> Converted<InlineFragment> {
        Ok(InlineFragment {
            type_condition: inline.type_condition.as_ref().map(|name| self.condition(name)),
            directives: self.directives(&inline.directives)?,
            selection_set: Positioned::new(self.selections(&inline.selection_set)?, pos),
        })
    }

    fn condition(&self, name: &ReadName) -> Positioned<TypeCondition> {
        let on = self.name(name);
        let pos = on.pos;
        Positioned::new(TypeCondition { on }, pos)
    }

    fn arguments(
        &self,
        arguments: &[Node<ast::Argument>],
    ) -> Converted<Vec<(Positioned<Name>, Positioned<Value>)>> {
        let argument = |argument: &Node<ast::Argument>| {
            let pos = self.lines.of(argument.value.location());
            Ok((self.name(&argument.name), Positioned::new(self.value(&argument.value)?, pos)))
        };
        arguments.iter().map(argument).collect()
    }

    fn constant(&self, value: &Node<ast::Value>) -> Converted<Positioned<ConstValue>> {
        let pos = self.lines.of(value.location());
        let constant = self.value(value)?.into_const();
        let constant = constant
            .ok_or_else(|| ServerError::new("a default value must not depend on variables", Some(pos)))?;
        Ok(Positioned::new(constant, pos))
    }

    fn value(&self, value: &Node<ast::Value>) -> Converted<Value> {
        Ok(match &**value {
            ast::Value::Null => Value::Null,
            ast::Value::Enum(name) => Value::Enum(Name::new(name)),
            ast::Value::Variable(name) => Value::Variable(Name::new(name)),
            ast::Value::String(text) => Value::String(text.clone()),
            ast::Value::Int(number) => Value::Number(self.number(number.as_str(), value)?),
            ast::Value::Float(number) => Value::Number(self.number(number.as_str(), value)?),
            ast::Value::Boolean(boolean) => Value::Boolean(*boolean),
            ast::Value::List(items) => {
                Value::List(items.iter().map(|item| self.value(item)).collect::<Converted<_>>()?)
            }
            ast::Value::Object(fields) => {
                let field =
                    |(name, value): &(ReadName, Node<ast::Value>)| Ok((Name::new(name), self.value(value)?));
                Value::Object(fields.iter().map(field).collect::<Converted<_>>()?)
            }
        })
    }

    /// A number as JSON has it: whole where it was written so and is not too large.
    fn number(&self, text: &str, value: &Node<ast::Value>) -> Converted<Number> {
        serde_json::from_str(text).map_err(|_| {
            ServerError::new("a number is too large for a float", Some(self.lines.of(value.location())))
        })
    }

    fn name(&self, name: &ReadName) -> Positioned<Name> {
        Positioned::new(Name::new(name), self.lines.of(name.location()))
    }
}

fn of_type(read: &ast::Type) -> Type {
    let base = match read {
        ast::Type::Named(name) | ast::Type::NonNullNamed(name) => BaseType::Named(Name::new(name)),
        ast::Type::List(item) | ast::Type::NonNullList(item) => BaseType::List(Box::new(of_type(item))),
    };
    Type { base, nullable: !read.is_non_null() }
}
