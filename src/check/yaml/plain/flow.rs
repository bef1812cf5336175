//! Flow collections on one line, such as `{a: [b, c]}`.

use super::{StepKind, Steps};

/// The maximum depth of collections on one line.
const MAX_DEPTH: usize = 32;

impl Steps<'_> {
    /// Reads a collection that begins at the byte `at`, and returns its end; `None` if it is not certainly one, or has an empty value.
    pub(super) fn read_flow(&mut self, at: usize, depth: usize) -> Option<usize> {
        let is_map = self.byte(at) == b'{';
        let (begin, end, mark) = if is_map {
            (StepKind::BeginMap, StepKind::EndMap, b'}')
        } else {
            (StepKind::BeginList, StepKind::EndList, b']')
        };
        if depth >= MAX_DEPTH {
            return None;
        }
        self.add(begin, self.span(at, at + 1));
        let mut next = self.behind_blanks(at + 1);
        if self.byte(next) != mark {
            loop {
                next = if is_map {
                    self.read_flow_entry(next, depth)?
                } else {
                    self.read_flow_value(next, depth)?
                };
                next = self.behind_blanks(next);
                match self.byte(next) {
                    b',' => next = self.behind_blanks(next + 1),
                    byte if byte == mark => break,
                    _ => return None,
                }
            }
        }
        self.add(end, self.span(next, next + 1));
        Some(next + 1)
    }

    /// Reads an entry of a map, and returns its end.
    fn read_flow_entry(&mut self, at: usize, depth: usize) -> Option<usize> {
        let colon = self.end_of_key(at).filter(|colon| self.byte(colon + 1) == b' ')?;
        self.add_scalar(at, colon);
        self.read_flow_value(self.behind_blanks(colon + 1), depth)
    }

    /// Reads a value in a collection, and returns its end.
    fn read_flow_value(&mut self, at: usize, depth: usize) -> Option<usize> {
        let end = match self.byte(at) {
            b'[' | b'{' => return self.read_flow(at, depth + 1),
            b'"' | b'\'' => self.end_of_quoted(at)?,
            _ => self.end_of_plain_in_flow(at)?,
        };
        self.add_scalar(at, end);
        Some(end)
    }

    /// Returns the end of a plain scalar of one word.
    fn end_of_plain_in_flow(&self, at: usize) -> Option<usize> {
        let first = self.byte(at);
        let is_sign = first == b'-' && self.byte(at + 1).is_ascii_alphanumeric();
        if !(is_sign || first.is_ascii_alphanumeric() || b"_./".contains(&first)) {
            return None;
        }
        let text = self.bytes.get(at..self.line_end)?;
        let is_part = |index: usize, byte: u8| match byte {
            // Before a mark or a blank, a colon is a mark itself.
            b':' => text
                .get(index + 1)
                .is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'/'),
            _ => byte.is_ascii_alphanumeric() || b"_./+=@-".contains(&byte),
        };
        let mut bytes = text.iter().copied().enumerate();
        bytes
            .find(|(index, byte)| !is_part(*index, *byte))
            .map(|(index, _)| at + index)
    }
}
