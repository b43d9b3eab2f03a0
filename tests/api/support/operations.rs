//! Random operations, valid ones and broken ones.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Dice, text};

/// What does not belong where it is put.
const ODD_WORDS: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "!",
    "=",
    "|",
    "&",
    "@",
    "$",
    "...",
    "\"",
    "\"\"\"",
    "#",
    "\u{feff}",
    "\0",
    "é",
    "null",
    "true",
    "on",
    "query",
    "mutation",
    "subscription",
    "fragment",
    "type",
    "extend",
    "__typename",
    "__schema",
    "id",
    "-0",
    "01",
    "1e400",
    "99999999999999999999",
    "\"\\uD800\"",
    "\"\\u{110000}\"",
    "{ a: 1, a: 2 }",
    "[[[[]]]]",
    "$undefined",
    "...Undefined",
    "... on Undefined { id }",
    "... on Batch { ...F }",
    "@skip(if: $undefined)",
    "@include(if: null)",
    "@deprecated",
    "@undefined",
    "($v: Int = \"a\")",
    "($v: [Undefined!]!)",
    "fragment F on Query { ...F }",
    "fragment F on Batch { jobs { batch { ...F } } }",
    "query A { __typename } query A { __typename }",
    "__type(name: 1) { fields { type { fields { name } } } }",
];

/// Makes operations that a schema allows.
pub struct Operations<'a> {
    dice: Dice,
    aliases: usize,
    types: BTreeMap<String, &'a Value>,
    ids: Vec<String>,
}

impl<'a> Operations<'a> {
    /// Operations on the introspected schema `shown`, in which these ids occur.
    pub fn new(shown: &'a Value, ids: Vec<String>) -> Self {
        let types = shown["types"].as_array().unwrap().iter();
        let types = types.map(|shown| (text(&shown["name"]), shown)).collect();
        Self { dice: Dice::seeded(42), aliases: 0, types, ids }
    }

    /// A query or a mutation.
    pub fn valid(&mut self) -> String {
        let root = if self.dice.one_in(3) { "Mutation" } else { "Query" };
        let selection = self.selection(root, 4);
        format!("{} {selection}", root.to_lowercase())
    }

    /// The same, with some of its words changed: hardly ever is it valid still.
    pub fn broken(&mut self) -> String {
        let valid = self.valid();
        let mut words = words(&valid);
        for _ in 0..1 + self.dice.below(3) {
            let at = self.dice.below(words.len());
            let other = self.dice.pick(&words);
            match self.dice.below(5) {
                0 => drop(words.remove(at)),
                1 => words.insert(at, other),
                2 => words[at] = other,
                3 => words[at] = self.dice.pick(ODD_WORDS),
                _ => words.insert(at, self.dice.pick(ODD_WORDS)),
            }
            if words.is_empty() {
                break;
            }
        }
        words.join(" ")
    }

    /// Some fields of a type, down to a depth; every one under a name of its own.
    fn selection(&mut self, name: &str, depth: usize) -> String {
        let shown = self.types[name];
        // Once there is a token, nobody is served without.
        let fields =
            shown["fields"].as_array().unwrap().iter().filter(|field| field["name"] != "createToken");
        let fields: Vec<&Value> = fields.collect();
        let mut parts = vec!["__typename".to_owned()];
        for _ in 0..1 + self.dice.below(4) {
            let field = self.dice.pick(&fields);
            let of = inner(&field["type"]);
            let is_leaf = self.types[&of]["fields"].is_null();
            if depth == 0 && !is_leaf {
                continue;
            }
            self.aliases += 1;
            let (alias, name) = (self.aliases, text(&field["name"]));
            let args = self.members(field["args"].as_array().unwrap(), 3);
            let args = if args.is_empty() { args } else { format!("({args})") };
            let selected = if is_leaf { String::new() } else { self.selection(&of, depth - 1) };
            parts.push(format!("f{alias}: {name}{args} {selected}"));
        }
        if depth > 0 {
            for possible in shown["possibleTypes"].as_array().into_iter().flatten() {
                let name = text(&possible["name"]);
                parts.push(format!("... on {name} {}", self.selection(&name, depth - 1)));
            }
        }
        format!("{{ {} }}", parts.join(" "))
    }

    /// Arguments or the fields of an input: all that must be there, and some that may.
    fn members(&mut self, members: &[Value], depth: usize) -> String {
        let mut written = Vec::new();
        for member in members {
            let required = member["type"]["kind"] == "NON_NULL" && member["defaultValue"].is_null();
            if required || (depth > 0 && self.dice.one_in(3)) {
                written.push(format!("{}: {}", text(&member["name"]), self.value(&member["type"], depth)));
            }
        }
        written.join(", ")
    }

    fn value(&mut self, of: &Value, depth: usize) -> String {
        match of["kind"].as_str().unwrap() {
            "NON_NULL" => self.value(&of["ofType"], depth),
            _ if self.dice.one_in(20) && of["kind"] != "NON_NULL" && depth > 3 => "null".to_owned(),
            "LIST" => {
                let items: Vec<String> =
                    (0..self.dice.below(3)).map(|_| self.value(&of["ofType"], depth)).collect();
                format!("[{}]", items.join(", "))
            }
            "ENUM" => {
                let values = self.types[&text(&of["name"])]["enumValues"].as_array().unwrap().clone();
                text(&self.dice.pick(&values)["name"])
            }
            "INPUT_OBJECT" => {
                let fields = self.types[&text(&of["name"])]["inputFields"].as_array().unwrap().clone();
                format!("{{ {} }}", self.members(&fields, depth.saturating_sub(1)))
            }
            _ => self.scalar(&text(&of["name"])),
        }
    }

    fn scalar(&mut self, name: &str) -> String {
        let garbage = [
            "",
            " ",
            "a",
            "\0",
            "é\u{1f600}",
            "%s' OR 1=1 --",
            "\u{202e}",
            "a\nb",
            "1",
            "9".repeat(400).leak(),
        ];
        let written = |text: &str| json!(text).to_string();
        match name {
            "Int" => self.dice.pick(&[-2_147_483_648, -1, 0, 1, 3, 100, 2_147_483_647]).to_string(),
            "Boolean" => self.dice.one_in(2).to_string(),
            "ID" if !self.dice.one_in(4) => {
                let ids = self.ids.clone();
                written(&self.dice.pick(&ids))
            }
            "Since" => self
                .dice
                .pick(&[
                    "\"2010-01-01\"",
                    "1262304000",
                    "-1",
                    "\"\"",
                    "9007199254740993",
                    "1.5",
                    "\"9999-12-31T23:59:59.999999999Z\"",
                ])
                .to_owned(),
            "JSON" => self
                .dice
                .pick(&[
                    "{}",
                    "{ a: [1, { b: null }] }",
                    "[]",
                    "1e308",
                    "\"x\"",
                    "{ a: 18446744073709551615 }",
                ])
                .to_owned(),
            _ => written(self.dice.pick(&garbage)),
        }
    }
}

/// The name of the type within all lists and non-nulls.
fn inner(of: &Value) -> String {
    match of["name"].as_str() {
        Some(name) if of["ofType"].is_null() => name.to_owned(),
        _ => inner(&of["ofType"]),
    }
}

/// The words of an operation, punctuation among them. Texts with spaces fall apart, which breaks them well.
fn words(operation: &str) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    for mut rest in operation.split_whitespace() {
        while let Some(at) = rest.find(|character| "{}()[]:!,".contains(character)) {
            words.extend([&rest[..at], &rest[at..=at]]);
            rest = &rest[at + 1..];
        }
        words.push(rest);
    }
    words.retain(|word| !word.is_empty());
    words
}
