//! The body of POST and PUT on its way to a draft. Whatever has not the shape of the documentation is
//! said at once, each with its place; what the values mean is the domain's business.

use serde_json::{Map, Value};

use super::problem::Item;
use crate::domain::{
    batch::{FailurePolicy, Watermarks},
    draft::{BatchDraft, DEFAULT_MAX_ATTEMPTS, JobDraft},
    job::{JobType, RequiredObjects, RequirementKind},
    problem::At,
};

/// What a client sends.
#[derive(Debug)]
pub struct BatchBody {
    /// The batch's id, which a PUT may repeat.
    pub id: Option<String>,
    /// The batch.
    pub draft: BatchDraft,
}

/// How `updated_since` is spelt, by the documentation too.
const UPDATED_SINCE: [&str; 3] = ["updated_since", "updated\\since", "updated\\_since"];

impl BatchBody {
    /// Reads a body, or says everything that is wrong with its shape.
    pub fn read(value: Value) -> Result<Self, Vec<Item>> {
        let mut items = Vec::new();
        let body =
            Fields::of(value, At::Root, &mut items).map(|fields| Self::from_fields(fields, &mut items));
        match body {
            Some(body) if items.is_empty() => Ok(body),
            _ => Err(items),
        }
    }

    fn from_fields(mut fields: Fields<'_>, items: &mut Vec<Item>) -> Self {
        let body = Self {
            id: fields.text("id", items),
            draft: BatchDraft {
                tenant_id: fields.text("tenant_id", items),
                source_connection_id: fields.required_text("source_connection_id", items),
                destination_connection_id: fields.required_text("destination_connection_id", items),
                since: fields.instant(&["since"], items),
                until: fields.instant(&["until"], items),
                updated_since: fields.instant(&UPDATED_SINCE, items),
                priority: fields.number("priority", items).unwrap_or_default(),
                failure_policy: fields
                    .named("failure_policy", FailurePolicy::named, "continue or cancel_batch", items)
                    .unwrap_or_default(),
                watermarks: Watermarks::Stay,
                idempotency_key: None,
                jobs: fields.jobs(items),
            },
        };
        fields.finish(items);
        body
    }
}

/// The fields of an object that are not read yet.
struct Fields<'a> {
    map: Map<String, Value>,
    at: At<'a>,
}

impl<'a> Fields<'a> {
    fn of(value: Value, at: At<'a>, items: &mut Vec<Item>) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self { map, at }),
            other => {
                items.push(wrong_type(&at, "a JSON object", &other));
                None
            }
        }
    }

    /// Takes a field out; null is as good as nothing.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &'static str, items: &mut Vec<Item>) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => {
                items.push(wrong_type(&self.at.field(name), "a string", &other));
                None
            }
        }
    }

    fn required_text(&mut self, name: &'static str, items: &mut Vec<Item>) -> String {
        self.require(name, "a string", items);
        self.text(name, items).unwrap_or_default()
    }

    /// Says so where a field is not there.
    fn require(&self, name: &'static str, expected: &str, items: &mut Vec<Item>) {
        if self.map.get(name).is_none_or(Value::is_null) {
            items.push(item(&self.at.field(name), "MISSING", &format!("this must be given: {expected}")));
        }
    }

    /// A point in time, under the first of these names that is there.
    fn instant(&mut self, names: &[&'static str], items: &mut Vec<Item>) -> Option<String> {
        let found: Vec<(&'static str, Value)> =
            names.iter().filter_map(|name| self.take(name).map(|value| (*name, value))).collect();
        if let [_, (second, _), ..] = &found[..] {
            items.push(item(
                &self.at.field(second),
                "INVALID_VALUE",
                "this is given twice, in two spellings",
            ));
        }
        let (name, value) = found.into_iter().next()?;
        match value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            other => {
                items.push(wrong_type(&self.at.field(name), "Unix seconds or a string", &other));
                None
            }
        }
    }

    fn number(&mut self, name: &'static str, items: &mut Vec<Item>) -> Option<i32> {
        let value = self.take(name)?;
        let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
        if number.is_none() {
            items.push(wrong_type(&self.at.field(name), "a whole number of at most 32 bits", &value));
        }
        number
    }

    fn flag(&mut self, name: &'static str, items: &mut Vec<Item>) -> bool {
        match self.take(name) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                items.push(wrong_type(&self.at.field(name), "true or false", &other));
                false
            }
        }
    }

    fn named<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
        names: &str,
        items: &mut Vec<Item>,
    ) -> Option<T> {
        let text = self.text(name, items)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            items.push(item(
                &self.at.field(name),
                "INVALID_VALUE",
                &format!("this must be {names}, not {text:?}"),
            ));
        }
        parsed
    }

    fn list(&mut self, name: &'static str, items: &mut Vec<Item>) -> Vec<Value> {
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(values)) => values,
            Some(other) => {
                items.push(wrong_type(&self.at.field(name), "an array", &other));
                Vec::new()
            }
        }
    }

    fn jobs(&mut self, items: &mut Vec<Item>) -> Vec<JobDraft> {
        let values = self.list("jobs", items);
        let at = self.at.field("jobs");
        let read = |(position, value)| job(value, at.index(position), items);
        values.into_iter().enumerate().filter_map(read).collect()
    }

    /// What is left over nobody has asked for.
    fn finish(self, items: &mut Vec<Item>) {
        for name in self.map.keys() {
            let mut unknown = item(&self.at, "UNKNOWN_FIELD", "there is no such field here");
            unknown.path.push(name.clone());
            items.push(unknown);
        }
    }
}

/// `None` when it is no object, or has no type: then a problem says so.
fn job(value: Value, at: At<'_>, items: &mut Vec<Item>) -> Option<JobDraft> {
    let mut fields = Fields::of(value, at, items)?;
    fields.require("type", "extract or load", items);
    let job_type = fields.named("type", JobType::named, "extract or load", items);
    let object = fields.required_text("object", items);
    let grain = fields.text("grain", items);
    let connection_id = fields.text("connection_id", items);
    let since = fields.instant(&["since"], items);
    let updated_since = fields.instant(&UPDATED_SINCE, items);
    let allow_delete = fields.flag("allow_delete", items);
    let max_attempts = fields.number("max_attempts", items).unwrap_or(DEFAULT_MAX_ATTEMPTS);
    let required_objects = match fields.take("required_objects") {
        None => RequiredObjects::default(),
        Some(value) => required_objects(value, at.field("required_objects"), items),
    };
    fields.finish(items);
    Some(JobDraft {
        job_type: job_type?,
        object,
        grain,
        connection_id,
        since,
        updated_since,
        allow_delete,
        max_attempts,
        required_objects,
    })
}

fn required_objects(value: Value, at: At<'_>, items: &mut Vec<Item>) -> RequiredObjects<String> {
    let mut required = RequiredObjects::default();
    let Some(mut fields) = Fields::of(value, at, items) else { return required };
    for kind in RequirementKind::ALL {
        let at_kind = at.field(kind.name());
        for (index, value) in fields.list(kind.name(), items).into_iter().enumerate() {
            match value {
                Value::String(object) => required.of_mut(kind).push(object),
                other => items.push(wrong_type(&at_kind.index(index), "a string", &other)),
            }
        }
    }
    fields.finish(items);
    required
}

fn wrong_type(at: &At<'_>, expected: &str, found: &Value) -> Item {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    item(at, "WRONG_TYPE", &format!("this must be {expected}, not {found}"))
}

fn item(at: &At<'_>, code: &'static str, message: &str) -> Item {
    Item { code, message: message.into(), path: at.path().iter().map(ToString::to_string).collect() }
}
