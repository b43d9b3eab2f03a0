//! Where in a document something stands.

use apollo_compiler::parser::SourceSpan;
use async_graphql::Pos;

/// The lines of a text, made to find the line and the column of any of its bytes at once: a document
/// may be one line of 100 kB, with thousands of fields in it.
pub struct Lines<'a> {
    text: &'a str,
    /// Where each line begins, in bytes.
    starts: Vec<usize>,
    /// How many characters stand before each block of bytes.
    before: Vec<usize>,
}

const BLOCK: usize = 128;

impl<'a> Lines<'a> {
    /// The lines of `text`, which end as GraphQL has it: in LF, CR, or both.
    pub fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        let mut count = 0;
        let before = bytes.chunks(BLOCK).map(|block| {
            let before = count;
            count += characters(block);
            before
        });
        Self { text, starts, before: before.collect() }
    }

    /// The line and the column of a byte, both counted from 1, columns in characters.
    pub fn position(&self, offset: usize) -> Pos {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        Pos { line, column: self.characters_before(offset) - self.characters_before(start) + 1 }
    }

    /// Where a node of a document begins.
    pub fn of(&self, span: Option<SourceSpan>) -> Pos {
        span.map_or_else(Pos::default, |span| self.position(span.offset()))
    }

    /// What a node of a document is written as.
    pub fn text_of(&self, span: SourceSpan) -> &'a str {
        self.text.get(span.offset()..span.end_offset()).unwrap_or_default()
    }

    fn characters_before(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        let before = self.before.get(block).copied();
        let rest = &self.text.as_bytes()[(block * BLOCK).min(offset)..offset];
        // Beyond the last block there is nothing but the end of a text that fills its blocks.
        before.map_or_else(|| self.text.chars().count(), |before| before + characters(rest))
    }
}

/// How many characters begin in these bytes.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_line_and_its_column() {
        let texts =
            ["", "a", "a\nb", "a\r\nb\rc\n\rd", "é\u{1f600}x\nü", &"é ".repeat(300), &"ab".repeat(64)];
        for text in texts {
            let lines = Lines::new(text);
            let (mut line, mut column) = (1, 1);
            for (at, character) in text.char_indices() {
                assert_eq!(lines.position(at), Pos { line, column }, "{text:?} {at}");
                let ends = character == '\n' || (character == '\r' && !text[at + 1..].starts_with('\n'));
                (line, column) = if ends { (line + 1, 1) } else { (line, column + 1) };
            }
            assert_eq!(lines.position(text.len()), Pos { line, column }, "{text:?}");
            assert_eq!(lines.position(usize::MAX), Pos { line, column }, "{text:?}");
        }
    }
}
