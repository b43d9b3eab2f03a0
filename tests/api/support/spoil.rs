//! JSON that was right, with something wrong about it.

use serde_json::{Value, json};

use super::Dice;

/// Values that hardly any place is made for.
fn odd_value(dice: &mut Dice) -> Value {
    let odd = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e308),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(i64::from(i32::MAX) + 1),
        json!(""),
        json!(" "),
        json!("a\0b"),
        json!("a\nb"),
        json!("\u{202e}\u{fffe}\u{1f600}"),
        json!("e\u{301}"),
        json!("%s' OR 1=1 --"),
        json!("9".repeat(400)),
        json!("x".repeat(100_000)),
        json!("2010-02-30"),
        json!("9999-12-31T23:59:59.999999999Z"),
        json!("2016-12-31T23:59:60+23:59"),
        json!("connection_01h2xcejqtf2nbrexx3vqjhp41"),
        json!("tenant_0000000000e008000000000000"),
        json!("batch_zzzzzzzzzzzzzzzzzzzzzzzzzz"),
        json!("extract"),
        json!("load"),
        json!({}),
        json!([]),
        json!([null]),
        json!({ "extract": ["a"], "load": ["a"], "load_result": ["a"] }),
        json!([[[[[[[[[[[[[[[[{ "a": {} }]]]]]]]]]]]]]]]]),
    ];
    dice.pick(&odd)
}

/// The places of a value, as JSON pointers.
fn places(value: &Value) -> Vec<String> {
    let mut places = vec![String::new()];
    let mut under = |name: &str, value: &Value| {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        places.extend(self::places(value).into_iter().map(|place| format!("/{escaped}{place}")));
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| under(name, value)),
        Value::Array(items) => {
            (0..).zip(items).for_each(|(index, item): (usize, _)| under(&index.to_string(), item))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    places
}

/// Changes a value at one of its places. `names` are those that its objects may know.
pub fn spoil_value(dice: &mut Dice, value: &mut Value, names: &[&str]) {
    let places = places(value);
    let other = value.pointer(&dice.pick(&places)).cloned().unwrap_or_default();
    let new = if dice.one_in(3) { other } else { odd_value(dice) };
    let Some(place) = value.pointer_mut(&dice.pick(&places)) else { return };
    match place {
        Value::Object(map) if dice.one_in(2) => {
            drop(map.insert(dice.pick(names).to_owned(), new));
        }
        Value::Object(map) if !map.is_empty() && dice.one_in(2) => {
            let names: Vec<String> = map.keys().cloned().collect();
            map.remove(&dice.pick(&names));
        }
        Value::Array(items) if dice.one_in(2) => items.insert(dice.below(items.len() + 1), new),
        Value::Array(items) if !items.is_empty() && dice.one_in(2) => {
            let doubled = dice.pick(items);
            items.push(doubled);
        }
        Value::Array(items) if !items.is_empty() && dice.one_in(2) => {
            items.remove(dice.below(items.len()));
        }
        place => *place = new,
    }
}

/// Changes a text where no JSON value can: it is broken off, is no UTF-8, says things twice.
pub fn spoil_bytes(dice: &mut Dice, body: &mut Vec<u8>) {
    let at = dice.below(body.len() + 1);
    let insert =
        |body: &mut Vec<u8>, at: usize, bytes: &[u8]| drop(body.splice(at..at, bytes.iter().copied()));
    let of_values = |body: &[u8]| body.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
    match dice.below(9) {
        0 => body.truncate(at),
        1 => insert(body, at, &[dice.below(256) as u8]),
        2 => insert(
            body,
            at,
            dice.pick(&[
                b"\xff".as_slice(),
                b"\xed\xa0\x80",
                b"\xc0\x80",
                b"\\ud800",
                b"\0",
                b"\xef\xbb\xbf",
            ]),
        ),
        3 => insert(body, 1.min(body.len()), b"\"since\":\"2011-01-01\",\"jobs\":[],\"jobs\":null,"),
        4 => insert(
            body,
            of_values(body),
            dice.pick(&[b"1e400".as_slice(), b"-", b"0x1", b"NaN", b"01", b"1e"]),
        ),
        5 => insert(body, of_values(body), &b"9".repeat(10_000)),
        6 => insert(body, of_values(body), &b"[".repeat(100_000)),
        7 => insert(body, of_values(body), &b"{\"a\":".repeat(50_000)),
        _ => insert(body, body.len(), dice.pick(&[b"{}".as_slice(), b"\n\n", b",", b"]", b"// end"])),
    }
}
