//! What each kind of difference weighs.

use crate::differences::differences;

/// What the schemas below begin with.
const QUERY: &str = "type Query { it: It, old: Old @deprecated } type Old { x: Int } ";

/// A released schema, one that follows it, and the differences.
type Case = (&'static str, &'static str, &'static [&'static str]);

fn check(cases: &[Case]) {
    for (released, current, expected) in cases {
        let [released, current] = [released, current].map(|rest| format!("{QUERY}{rest}"));
        let found: Vec<String> = differences(&released, &current).iter().map(ToString::to_string).collect();
        assert_eq!(found, *expected, "{released}\n{current}");
    }
}

#[test]
fn types() {
    check(&[
        ("type It { x: Int }", "type It { x: Int }", &[]),
        ("type It { x: Int }", "\"What it is\" type It { \"What x is\" x: Int }", &[]),
        ("type It { x: Int }", "type It { x: Int } type New { y: Int }", &["safe: New is added"]),
        (
            "type It { x: Int }",
            "interface It { x: Int }",
            &["BREAKING: It is an interface, and was an object"],
        ),
        ("scalar It", "enum It { A }", &["BREAKING: It is an enum, and was a scalar"]),
        (
            "scalar It @specifiedBy(url: \"a\")",
            "scalar It @specifiedBy(url: \"b\")",
            &["dangerous: It is specified by something else"],
        ),
        (
            "type It { x: Gone } type Gone { y: Int }",
            "type It { x: Int }",
            &["BREAKING: Gone is removed", "BREAKING: It.x is Int, and was Gone"],
        ),
        (
            "type It { x: Int, y: Gone @deprecated } type Gone { z: More } enum More { A }",
            "type It { x: Int }",
            &[
                "safe: Gone is removed, after all that led to it was deprecated",
                "safe: It.y was deprecated and is removed",
                "safe: More is removed, after all that led to it was deprecated",
            ],
        ),
        (
            "type It { x(a: Gone): Int } input Gone { z: Int }",
            "type It { x: Int }",
            &["BREAKING: Gone is removed", "BREAKING: It.x(a) is removed"],
        ),
        (
            "interface It { x: Int } type Gone implements It { x: Int }",
            "interface It { x: Int }",
            &["BREAKING: Gone is removed"],
        ),
    ]);
}

#[test]
fn the_roots() {
    let schema = "schema { query: Query mutation: It } type It { x: Int } type M { x: Int }";
    check(&[
        (
            schema,
            "schema { query: Query mutation: M } type It { x: Int } type M { x: Int }",
            &["BREAKING: schema.mutation is M, and was It"],
        ),
        (
            schema,
            "schema { query: Query } type It { x: Int } type M { x: Int }",
            &["BREAKING: schema.mutation is removed"],
        ),
        (
            schema,
            "schema { query: Query mutation: It subscription: M } type It { x: Int } type M { x: Int }",
            &["safe: schema.subscription is added"],
        ),
    ]);
}

#[test]
fn fields() {
    check(&[
        ("type It { x: Int }", "type It { x: Int y: Int }", &["safe: It.y is added"]),
        ("type It { x: Int y: Int }", "type It { x: Int }", &["BREAKING: It.y is removed"]),
        (
            "type It { x: Int y: Int @deprecated }",
            "type It { x: Int }",
            &["safe: It.y was deprecated and is removed"],
        ),
        ("type It { x: Int }", "type It { x: Int @deprecated }", &["safe: It.x is deprecated"]),
        ("type It { x: Int @deprecated }", "type It { x: Int }", &["safe: It.x is no longer deprecated"]),
        ("type It { x: Int }", "type It { x: Int! }", &["safe: It.x is Int!, and was Int"]),
        ("type It { x: [Int] }", "type It { x: [Int!]! }", &["safe: It.x is [Int!]!, and was [Int]"]),
        ("type It { x: Int! }", "type It { x: Int }", &["BREAKING: It.x is Int, and was Int!"]),
        ("type It { x: [Int!] }", "type It { x: [Int] }", &["BREAKING: It.x is [Int], and was [Int!]"]),
        ("type It { x: Int }", "type It { x: [Int] }", &["BREAKING: It.x is [Int], and was Int"]),
        ("type It { x: [Int] }", "type It { x: Int }", &["BREAKING: It.x is Int, and was [Int]"]),
        ("type It { x: Int }", "type It { x: Float }", &["BREAKING: It.x is Float, and was Int"]),
        (
            "type It { x: Int y: Int @deprecated }",
            "type It { x: Int y: Float @deprecated }",
            &["BREAKING: It.y is Float, and was Int"],
        ),
        ("interface It { x: Int y: Int }", "interface It { x: Int }", &["BREAKING: It.y is removed"]),
    ]);
}

#[test]
fn arguments() {
    check(&[
        ("type It { x: Int }", "type It { x(a: Int): Int }", &["safe: It.x(a) is added"]),
        ("type It { x: Int }", "type It { x(a: Int! = 1): Int }", &["safe: It.x(a) is added"]),
        (
            "type It { x: Int }",
            "type It { x(a: Int!): Int }",
            &["BREAKING: It.x(a) is added, and must be given"],
        ),
        ("type It { x(a: Int): Int }", "type It { x: Int }", &["BREAKING: It.x(a) is removed"]),
        (
            "type It { x(a: Int @deprecated): Int }",
            "type It { x: Int }",
            &["safe: It.x(a) was deprecated and is removed"],
        ),
        (
            "type It { x(a: Int): Int }",
            "type It { x(a: Int!): Int }",
            &["BREAKING: It.x(a) is Int!, and was Int"],
        ),
        (
            "type It { x(a: Int!): Int }",
            "type It { x(a: Int): Int }",
            &["safe: It.x(a) is Int, and was Int!"],
        ),
        (
            "type It { x(a: Int = 1): Int }",
            "type It { x(a: Int = 2): Int }",
            &["dangerous: It.x(a) is 2 by default, and was 1"],
        ),
        (
            "type It { x(a: Int = 1): Int }",
            "type It { x(a: Int): Int }",
            &["dangerous: It.x(a) is nothing by default, and was 1"],
        ),
        (
            "type It { x(a: Int): Int }",
            "type It { x(a: Int = 1): Int }",
            &["dangerous: It.x(a) is 1 by default, and was nothing"],
        ),
        (
            "type It { x(a: Int! = 1): Int }",
            "type It { x(a: Int!): Int }",
            &["BREAKING: It.x(a) must be given, and had a default"],
        ),
    ]);
}

#[test]
fn input_fields() {
    check(&[
        ("input I { a: Int } scalar It", "input I { a: Int b: Int } scalar It", &["safe: I.b is added"]),
        (
            "input I { a: Int } scalar It",
            "input I { a: Int b: Int! } scalar It",
            &["BREAKING: I.b is added, and must be given"],
        ),
        (
            "input I { a: Int b: Int } scalar It",
            "input I { a: Int } scalar It",
            &["BREAKING: I.b is removed"],
        ),
        (
            "input I { a: Int b: Int @deprecated } scalar It",
            "input I { a: Int } scalar It",
            &["safe: I.b was deprecated and is removed"],
        ),
        (
            "input I { a: [Int] } scalar It",
            "input I { a: [Int!] } scalar It",
            &["BREAKING: I.a is [Int!], and was [Int]"],
        ),
        (
            "input I { a: [Int!]! } scalar It",
            "input I { a: [Int] } scalar It",
            &["safe: I.a is [Int], and was [Int!]!"],
        ),
        (
            "input I { a: Int } scalar It",
            "input I { a: [Int] } scalar It",
            &["BREAKING: I.a is [Int], and was Int"],
        ),
        (
            "input I { a: Int = 1 } scalar It",
            "input I { a: Int = 2 } scalar It",
            &["dangerous: I.a is 2 by default, and was 1"],
        ),
    ]);
}

#[test]
fn enums_unions_and_interfaces() {
    check(&[
        ("enum It { A }", "enum It { A B }", &["dangerous: It.B is added"]),
        ("enum It { A B }", "enum It { A }", &["BREAKING: It.B is removed"]),
        ("enum It { A B @deprecated }", "enum It { A }", &["safe: It.B was deprecated and is removed"]),
        ("enum It { A }", "enum It { A @deprecated }", &["safe: It.A is deprecated"]),
        (
            "union It = A type A { x: Int } type B { x: Int }",
            "union It = A | B type A { x: Int } type B { x: Int }",
            &["dangerous: It gains the member B"],
        ),
        (
            "union It = A | B type A { x: Int } type B { x: Int }",
            "union It = A type A { x: Int } type B { x: Int }",
            &["BREAKING: It loses the member B"],
        ),
        (
            "type It { x: Int } interface F { x: Int }",
            "type It implements F { x: Int } interface F { x: Int }",
            &["dangerous: It gains the interface F"],
        ),
        (
            "type It implements F { x: Int } interface F { x: Int }",
            "type It { x: Int } interface F { x: Int }",
            &["BREAKING: It loses the interface F"],
        ),
    ]);
}

#[test]
fn directives() {
    check(&[
        ("scalar It", "scalar It directive @d on FIELD", &["safe: @d is added"]),
        ("scalar It directive @d on FIELD", "scalar It", &["BREAKING: @d is removed"]),
        (
            "scalar It directive @d on FIELD | QUERY",
            "scalar It directive @d on FIELD | MUTATION",
            &["BREAKING: @d may no longer stand on QUERY", "safe: @d may stand on MUTATION"],
        ),
        (
            "scalar It directive @d(a: Int) repeatable on FIELD",
            "scalar It directive @d(b: Int!) on FIELD",
            &[
                "BREAKING: @d is no longer repeatable",
                "BREAKING: @d(a) is removed",
                "BREAKING: @d(b) is added, and must be given",
            ],
        ),
    ]);
}
