//! When a schedule is due, as a cron expression says it: by the clock on the wall, whatever the time zone.

use std::fmt;

use chrono::{DateTime, NaiveDateTime};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use super::problem::{At, Problem, ProblemCode};

/// The longest expression, in characters.
const MAX_CHARACTERS: usize = 200;
/// The fields of an expression of six, in their order. One of five has no seconds.
const FIELDS: [&str; 6] = ["seconds", "minutes", "hours", "day of the month", "month", "day of the week"];
/// What stands for a whole expression.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A cron expression that is due at some time: minutes, hours, day of the month, month, day of the week; before
/// them seconds, if it has six fields. Days are those that either of their fields names, where both name
/// some, as cron has it since Version 7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronExpression {
    text: String,
    cron: Cron,
}

impl CronExpression {
    /// Reads five fields, six with seconds first, or a nickname, `@hourly` for instance.
    pub fn parse(text: &str, at: &At<'_>) -> Result<Self, Problem> {
        let length = text.chars().count();
        if length > MAX_CHARACTERS {
            let message = format!("this has {length} characters; at most {MAX_CHARACTERS} are allowed");
            return Err(at.problem(ProblemCode::TooLong, message));
        }
        let text = text.trim();
        let invalid = |message: String| at.problem(ProblemCode::InvalidCron, message);
        let spelled = spell_out(text).map_err(invalid)?;
        let fields: Vec<&str> = spelled.split_whitespace().collect();
        if !matches!(fields.len(), 5 | 6) {
            return Err(invalid(format!(
                "this has {} fields; write minutes, hours, day of the month, month and day of the week \
                 (`0 3 * * 1`: Mondays at 3), or six with seconds first",
                fields.len()
            )));
        }
        check_fields(&fields).map_err(invalid)?;
        let cron = parser().parse(&spelled).map_err(|error| invalid(error.to_string()))?;
        let expression = Self { text: text.to_owned(), cron };
        match expression.next_from(DateTime::UNIX_EPOCH.naive_utc()) {
            Some(_) => Ok(expression),
            None => Err(invalid(format!("no day is ever due by `{text}`: no month has that day"))),
        }
    }

    /// The first time on the clock that is due, from this one on; `None` after the year 5000.
    pub fn next_from(&self, clock: NaiveDateTime) -> Option<NaiveDateTime> {
        // In UTC every time on the clock exists, and once.
        Some(self.cron.find_next_occurrence(&clock.and_utc(), true).ok()?.naive_utc())
    }

    /// Whether its hours are a wild card (`*`, `*/2`). It is then due by real time: when the clock is put
    /// forward, what falls out falls out, and when it is put back, what comes twice comes twice.
    pub fn is_every_hour(&self) -> bool {
        self.cron.pattern.hours.from_wildcard
    }
}

/// As it was written.
impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build()
}

fn spell_out(text: &str) -> Result<String, String> {
    if !text.starts_with('@') {
        return Ok(text.to_owned());
    }
    let known = NICKNAMES.iter().find(|(nickname, _)| nickname.eq_ignore_ascii_case(text));
    known.map(|(_, expression)| (*expression).to_owned()).ok_or_else(|| {
        let nicknames: Vec<&str> = NICKNAMES.iter().map(|(nickname, _)| *nickname).collect();
        format!("this nickname is not known; there are {}", nicknames.join(", "))
    })
}

/// Looks at each field alone, so that the message can name it.
fn check_fields(fields: &[&str]) -> Result<(), String> {
    for (index, field) in fields.iter().enumerate() {
        let name = FIELDS[index + FIELDS.len() - fields.len()];
        let wrong = |why: &str| format!("the field `{field}` ({name}): {why}");
        if field.split(',').any(str::is_empty) {
            return Err(wrong("there is nothing between two commas"));
        }
        if let Some(letters) = foreign_letters(field, name) {
            return Err(wrong(&format!("`{letters}` means nothing here")));
        }
        let mut alone = vec!["*"; fields.len()];
        alone[index] = field;
        parser().parse(&alone.join(" ")).map_err(|error| wrong(&error.to_string()))?;
    }
    Ok(())
}

/// Words of a field that it has no use for. The library takes `MON` for 1 wherever it stands.
fn foreign_letters<'a>(field: &'a str, name: &str) -> Option<&'a str> {
    let takes = match name {
        "day of the month" => ["L", "W", "LW"].as_slice(),
        "month" => &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
        "day of the week" => &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "L"],
        _ => &[],
    };
    let mut words = field.split(|character: char| !character.is_alphabetic());
    words.find(|word| !word.is_empty() && !takes.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> String {
        let problem = CronExpression::parse(text, &At::Root).unwrap_err();
        assert!(
            matches!(problem.code, ProblemCode::InvalidCron | ProblemCode::TooLong),
            "{text}: {problem:?}"
        );
        problem.message
    }

    fn first(text: &str) -> String {
        let start = NaiveDateTime::parse_from_str("2026-11-26 10:00:30", "%F %T").unwrap();
        CronExpression::parse(text, &At::Root).unwrap().next_from(start).unwrap().to_string()
    }

    #[test]
    fn five_fields_six_and_nicknames_are_read() {
        assert_eq!(first("*/5 * * * *"), "2026-11-26 10:05:00");
        assert_eq!(first("*/10 * * * * *"), "2026-11-26 10:00:30");
        assert_eq!(first("0 3 * * mon-fri"), "2026-11-27 03:00:00");
        assert_eq!(first("0 0 29 feb *"), "2028-02-29 00:00:00");
        assert_eq!(first("0 0 * * 7"), "2026-11-29 00:00:00");
        assert_eq!(first("0 0 L * *"), "2026-11-30 00:00:00");
        let nicknames =
            ["2026-11-26 11:00:00", "2026-11-27 00:00:00", "2026-11-27 00:00:00", "2026-11-29 00:00:00"];
        let later = ["2026-12-01 00:00:00", "2027-01-01 00:00:00", "2027-01-01 00:00:00"];
        for ((nickname, _), due) in NICKNAMES.iter().zip(nicknames.iter().chain(&later)) {
            assert_eq!(first(nickname), *due, "{nickname}");
        }
        assert_eq!(first("@DAILY"), "2026-11-27 00:00:00");
    }

    #[test]
    fn days_that_either_field_names_are_due() {
        assert_eq!(first("0 0 1 * 5"), "2026-11-27 00:00:00");
        assert_eq!(first("0 0 27 * 1"), "2026-11-27 00:00:00");
    }

    #[test]
    fn what_is_wrong_is_said_with_the_field() {
        for (text, place) in [
            ("60 * * * *", "minutes"),
            ("* 24 * * *", "hours"),
            ("* * 0 * *", "day of the month"),
            ("* * * 13 *", "month"),
            ("* * * * 8", "day of the week"),
            ("61 * * * * *", "seconds"),
            ("*/0 * * * *", "minutes"),
            ("5-1 * * * *", "minutes"),
            ("1,,2 * * * *", "minutes"),
            ("MON * * * *", "minutes"),
            ("* * 5L * *", "day of the month"),
            ("* ☃ * * *", "hours"),
            ("* -1 * * *", "hours"),
            ("99999999999999999999 * * * *", "minutes"),
        ] {
            let message = refused(text);
            assert!(message.contains(&format!("({place})")), "{text}: {message}");
        }
        for text in ["", " ", "*", "* * * *", "* * * * * * *", "@reboot", "@", "every day"] {
            refused(text);
        }
        assert!(refused(&"*".repeat(10_000)).contains("10000 characters; at most 200"));
    }

    #[test]
    fn what_is_never_due_is_refused_and_says_so() {
        for text in ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
            assert!(refused(text).contains("no day is ever due"), "{text}");
        }
    }

    /// A field that may be one, or nearly.
    fn field() -> impl Strategy<Value = String> {
        let number = || (0..70u32).prop_map(|number| number.to_string());
        let range = (0..70u32, 0..70u32).prop_map(|(from, to)| format!("{from}-{to}"));
        let step = (prop_oneof![Just("*".to_owned()), range.clone(), number()], 0..70u32);
        prop_oneof![
            Just("*".to_owned()),
            number(),
            range,
            step.prop_map(|(of, step)| format!("{of}/{step}")),
            prop::collection::vec(number(), 1..4).prop_map(|list| list.join(",")),
            "[-,*/#LW?0-9A-Za-z@]{0,6}",
        ]
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}") {
            let _ = CronExpression::parse(&text, &At::Root);
        }

        #[test]
        fn what_is_read_is_due_later_and_reads_back_as_the_same(
            fields in prop::collection::vec(field(), 4..8),
            start in 0..4_000_000_000i64,
        ) {
            let text = fields.join(" ");
            if let Ok(cron) = CronExpression::parse(&text, &At::Root) {
                let start = DateTime::from_timestamp(start, 0).unwrap().naive_utc();
                let due = cron.next_from(start).unwrap();
                prop_assert!(due >= start);
                prop_assert_eq!(cron.next_from(due), Some(due));
                prop_assert_eq!(CronExpression::parse(&cron.to_string(), &At::Root), Ok(cron));
            }
        }
    }
}
