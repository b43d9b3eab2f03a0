//! Reading documents.
//!
//! apollo-parser reads on after an error and passes over some silently: an argument without a value is as
//! if it were not there. So what was read is written again, and must be what was there.

use apollo_compiler::{
    ast::Document,
    parser::Parser,
    validation::{DiagnosticList, WithErrors},
};
use apollo_parser::{Lexer, Token, TokenKind};

use super::{
    super::response::Executed,
    lines::Lines,
    validate::{server_error, shown},
};
use crate::domain::{documents::DocumentLimits, refusal::Refusal};

/// How deep values, types and selections may stand in each other for the parser, which is recursive. For
/// selections the lower limit of [`DocumentLimits::depth`] holds, which can say how deep they are.
const NESTING: usize = 200;

/// The document as it is written, and how many tokens it has.
pub fn parse(text: &str, limits: &DocumentLimits) -> Result<(Document, usize), Executed> {
    if text.len() > limits.bytes {
        return Err(too_long(&format!("{} bytes", text.len()), limits.bytes));
    }
    let mut parser = Parser::new().recursion_limit(NESTING).token_limit(limits.tokens);
    let (read, without);
    match parser.parse_ast(text, "") {
        Ok(document) => (read, without) = (document, None),
        Err(wrong) => {
            check_limits(&parser, limits)?;
            without = without_descriptions(text);
            let again = without.as_ref().map_or(Err(wrong), |without| parser.parse_ast(without, ""));
            read = again.map_err(|WithErrors { errors, .. }| syntax_error(&errors, text))?;
        }
    }
    match passed_over(&read, without.as_deref().unwrap_or(text)) {
        None => Ok((read, parser.tokens_reached())),
        Some((place, token)) => {
            let message = format!("syntax error: unexpected `{token}`");
            let error = server_error(&message, Lines::new(text).position(place));
            Err(Executed::refused(vec![error], Refusal::ParseFailed))
        }
    }
}

fn check_limits(parser: &Parser, limits: &DocumentLimits) -> Result<(), Executed> {
    let DocumentLimits { tokens, depth, .. } = *limits;
    if parser.recursion_reached() > NESTING {
        let message = format!(
            "the document nests more than {NESTING} levels deep; at most {depth} are allowed for selections"
        );
        return Err(Executed::refusal(Refusal::QueryTooDeep, &message));
    }
    if parser.tokens_reached() > tokens {
        return Err(too_long(&format!("more than {tokens} tokens"), tokens));
    }
    Ok(())
}

fn too_long(there: &str, most: usize) -> Executed {
    let message = format!("the document has {there}; at most {most} are allowed");
    Executed::refusal(Refusal::DocumentTooLong, &message)
}

/// The first error. Those that follow it mostly follow from it.
fn syntax_error(errors: &DiagnosticList, text: &str) -> Executed {
    let first = errors.iter().next().map(|error| shown(&error, &Lines::new(text)));
    Executed::refused(first.into_iter().collect(), Refusal::ParseFailed)
}

/// The first token of `text`, and its place, that is not in the document.
fn passed_over<'a>(document: &Document, text: &'a str) -> Option<(usize, &'a str)> {
    let written = document.serialize().no_indent().to_string();
    let mut written = without_short_form(&written);
    for token in without_short_form(text) {
        let same = written.next().is_some_and(|other| {
            // Texts are written in other ways than they were.
            token.kind() == other.kind()
                && (token.kind() == TokenKind::StringValue || token.data() == other.data())
        });
        if !same {
            return Some((token.index(), token.data()));
        }
    }
    None
}

/// The document with spaces in place of the descriptions that operations, fragments and variables may
/// have since September 2025, and that the parser does not know; `None` where it has none.
fn without_descriptions(text: &str) -> Option<String> {
    let tokens: Vec<Token<'_>> = significant(text).collect();
    let mut without = String::with_capacity(text.len());
    let (mut braces, mut parentheses) = (0_usize, 0_usize);
    let mut before = None;
    for pair in tokens.windows(2) {
        let [token, next] = pair else { break };
        match token.kind() {
            TokenKind::LCurly => braces += 1,
            TokenKind::RCurly => braces = braces.saturating_sub(1),
            TokenKind::LParen => parentheses += 1,
            TokenKind::RParen => parentheses = parentheses.saturating_sub(1),
            TokenKind::StringValue if braces == 0 => {
                let is_description = match before {
                    None | Some(TokenKind::RCurly) => DEFINITIONS.contains(&next.data()),
                    Some(TokenKind::Eq | TokenKind::Colon | TokenKind::LBracket) => false,
                    Some(_) => parentheses > 0 && next.kind() == TokenKind::Dollar,
                };
                if is_description {
                    without.push_str(&text[without.len()..token.index()]);
                    without.extend(token.data().chars().flat_map(blank));
                }
            }
            _ => {}
        }
        before = Some(token.kind());
    }
    if without.is_empty() {
        return None;
    }
    without.push_str(&text[without.len()..]);
    Some(without)
}

/// What a definition begins with.
const DEFINITIONS: [&str; 4] = ["query", "mutation", "subscription", "fragment"];

/// As many bytes, and the same lines.
fn blank(character: char) -> impl Iterator<Item = char> {
    let blank = if matches!(character, '\n' | '\r') { character } else { ' ' };
    std::iter::repeat_n(blank, character.len_utf8())
}

/// The tokens of a text that mean something.
fn significant(text: &str) -> impl Iterator<Item = Token<'_>> {
    Lexer::new(text).filter_map(Result::ok).filter(|token| {
        !matches!(token.kind(), TokenKind::Whitespace | TokenKind::Comment | TokenKind::Comma)
    })
}

/// The tokens of a document; of `query { … }` without the word that may be left out.
fn without_short_form(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut tokens = significant(text).peekable();
    let mut depth = 0_usize;
    std::iter::from_fn(move || {
        let mut token = tokens.next()?;
        let opens = |next: &Token<'_>| next.kind() == TokenKind::LCurly;
        if depth == 0 && token.data() == "query" && tokens.peek().is_some_and(opens) {
            token = tokens.next()?;
        }
        match token.kind() {
            TokenKind::LCurly => depth += 1,
            TokenKind::RCurly => depth = depth.saturating_sub(1),
            _ => {}
        }
        Some(token)
    })
}
