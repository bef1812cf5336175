//! The bound of the texts in a status that has many nodes. Pure.
//!
//! The errors and the ids of earlier operations are the only parts of a node's status without a small size of their own.

use crate::api::{BackRestStatus, NodeStatus};

/// The limits of all nodes together, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// That of the errors.
    pub(super) messages: usize,
    /// That of the ids of earlier operations.
    pub(super) operations: usize,
}

/// Shortens the texts of the nodes, and the errors of a failed run, until all of them are within the limits. The longest
/// are shortened first, and the oldest ids are dropped first.
pub(super) fn fit(common: &mut BackRestStatus, limits: Limits) {
    fit_nodes(&mut common.nodes, limits);
    let Some(condition) = &mut common.condition else {
        return;
    };
    let causes = &mut condition.failure_cause;
    let lengths = causes
        .iter()
        .filter_map(|cause| Some(width(cause.message.as_ref()?)));
    // They repeat the messages of the nodes.
    let limit = level(lengths.collect(), limits.messages / 2);
    for message in causes.iter_mut().filter_map(|cause| cause.message.as_mut()) {
        truncate(message, limit);
    }
}

/// Shortens the texts of these nodes until all of them are within the limits.
pub(super) fn fit_nodes(nodes: &mut [NodeStatus], limits: Limits) {
    let texts = |node: &NodeStatus| {
        [&node.message, &node.proof_error]
            .into_iter()
            .flatten()
            .map(|text| width(text))
            .collect::<Vec<_>>()
    };
    let limit = level(nodes.iter().flat_map(texts).collect(), limits.messages);
    let ids = |node: &NodeStatus| node.past_operations.iter().map(|id| json_len(id)).sum();
    let ids_limit = level(nodes.iter().map(ids).collect(), limits.operations);
    for node in nodes {
        for text in [&mut node.message, &mut node.proof_error].into_iter().flatten() {
            truncate(text, limit);
        }
        let mut room = ids_limit;
        let newest = node.past_operations.iter().rev().take_while(|id| {
            let fits = json_len(id) <= room;
            room = room.saturating_sub(json_len(id));
            fits
        });
        let dropped = node.past_operations.len().saturating_sub(newest.count());
        node.past_operations.drain(..dropped);
    }
}

/// Returns the size of an id in a list of JSON: the id, its quotes and the comma.
fn json_len(id: &str) -> usize {
    id.len().saturating_add(3)
}

/// Returns the greatest length to which the longest of these lengths may be cut so that their sum is at most `limit`.
fn level(mut lengths: Vec<usize>, limit: usize) -> usize {
    lengths.sort_unstable();
    let mut room = limit;
    let mut rest = lengths.len();
    for length in lengths {
        let share = room.checked_div(rest).unwrap_or(room);
        if length > share {
            return share;
        }
        room = room.saturating_sub(length);
        rest = rest.saturating_sub(1);
    }
    usize::MAX
}

/// Cuts a text to at most this many bytes of JSON.
fn truncate(text: &mut String, limit: usize) {
    let mut room = limit;
    let end = text.char_indices().find(|(_, char)| {
        let fits = char_width(*char) <= room;
        room = room.saturating_sub(char_width(*char));
        !fits
    });
    if let Some((end, _)) = end {
        text.truncate(end);
    }
}

/// Returns the size of a text in JSON, without its quotes.
fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(char: char) -> usize {
    match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..'\u{20}' => 6,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::{level, truncate, width};

    #[test]
    fn the_size_of_a_text_is_that_in_json() {
        let text: String = ('\0'..='\u{ff}').chain(['€', '𝄞']).collect();
        let json = serde_json::to_string(&text).unwrap();
        assert_eq!(width(&text), json.len() - 2);
        for limit in 0..width(&text) {
            let mut cut = text.clone();
            truncate(&mut cut, limit);
            assert!(
                text.starts_with(&cut) && width(&cut) <= limit && width(&cut) + 6 > limit,
                "{limit}"
            );
        }
    }

    #[test]
    fn only_the_longest_texts_are_cut() {
        let table: [(&[usize], usize, usize); 6] = [
            (&[], 10, usize::MAX),
            (&[3, 3], 10, usize::MAX),
            (&[5, 5], 10, usize::MAX),
            (&[6, 5], 10, 5),
            (&[1, 1, 100], 10, 8),
            (&[9, 9, 9, 9], 10, 2),
        ];
        for (lengths, limit, expected) in table {
            let level = level(lengths.to_vec(), limit);
            assert_eq!(level, expected, "{lengths:?}");
            let total: usize = lengths.iter().map(|length| (*length).min(level)).sum();
            assert!(total <= limit);
        }
    }
}
