//! Text for people, in the style of rustc's errors.

use std::borrow::Cow;
use std::io::{self, Write};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use crate::check::report::Report;
use crate::check::source::Source;
use crate::check::yaml::Span;

use super::wording::{
    self, clean, level, note_level, nothing_judged, page, remark, sentence, subject, total,
};

/// The maximum length of a quoted line, in bytes.
const MAX_LINE: usize = 400;

pub(super) fn write(report: &Report, colour: bool, into: &mut dyn Write) -> io::Result<()> {
    let base = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = base.decor_style(DecorStyle::Ascii);
    for error in &report.errors {
        let span = Span {
            line: error.line,
            column: error.column,
            ..Span::default()
        };
        let shown = shown(report, error.file, span, error.quotable);
        let group = Level::ERROR.primary_title(clean(&error.message)).element(shown);
        writeln!(into, "{}\n", renderer.render(&[group]))?;
    }
    for object in &report.objects {
        let subject = format!("of {}", subject(object));
        for finding in &object.findings {
            let title = rendered(level(report, finding))
                .primary_title(sentence(finding))
                .id(finding.rule.id)
                .id_url(page(finding.rule));
            let mut group: Group<'_> =
                title.element(shown(report, object.file, finding.span, finding.quotable));
            group = group.element(Level::NOTE.message(subject.as_str()));
            if let Some(remark) = remark(report, finding) {
                group = group.element(Level::NOTE.message(remark));
            }
            writeln!(into, "{}\n", renderer.render(&[group]))?;
        }
    }
    for note in &report.notes {
        let at = Origin::path(clean(report.name(note.file))).line(usize::try_from(note.line).unwrap_or(1));
        let group = rendered(note_level(report))
            .primary_title(clean(&note.message))
            .element(at);
        writeln!(into, "{}\n", renderer.render(&[group]))?;
    }
    if let Some((level, message)) = nothing_judged(report) {
        let group = Group::with_title(rendered(level).primary_title(message));
        writeln!(into, "{}\n", renderer.render(&[group]))?;
    }
    writeln!(into, "{}", total(report))
}

fn rendered(level: wording::Level) -> Level<'static> {
    match level {
        wording::Level::Error => Level::ERROR,
        wording::Level::Warning => Level::WARNING,
        wording::Level::Note => Level::NOTE,
    }
}

/// Returns the line of a span with the span marked, or only the position if the line may not be quoted.
fn shown(report: &Report, file: usize, span: Span, quotable: bool) -> Element<'_> {
    let name = clean(report.name(file));
    let line = usize::try_from(span.line).unwrap_or(1);
    let column = usize::try_from(span.column).unwrap_or(1);
    let source = report
        .sources
        .get(file)
        .filter(|_| quotable)
        .and_then(|source| excerpt(source, span));
    match source {
        Some((text, span)) => Snippet::source(visible(text))
            .line_start(line)
            .path(name)
            .annotation(AnnotationKind::Primary.span(span))
            .into(),
        None => Origin::path(name).line(line).char_column(column).into(),
    }
}

/// Replaces the control characters from 0x80 on, which begin commands on some terminals. The renderer replaces those below.
///
/// The replacement has the same length in bytes, so that spans stay valid.
fn visible(line: &str) -> Cow<'_, str> {
    let is_high = |c: char| matches!(c, '\u{80}'..='\u{9f}');
    if line.contains(is_high) {
        line.replace(is_high, "\u{b7}").into()
    } else {
        line.into()
    }
}

/// Returns the line in which a span begins, and the part of the line that it covers.
fn excerpt(source: &Source, span: Span) -> Option<(&str, std::ops::Range<usize>)> {
    let number = usize::try_from(span.line).ok()?.checked_sub(1)?;
    let text = source.text()?;
    let begin = usize::try_from(span.begin).ok()?;
    let start = match begin {
        // An error of the parser has only a line and a column.
        0 => text.split_inclusive('\n').take(number).map(str::len).sum(),
        _ => text.get(..begin)?.rfind('\n').map_or(0, |at| at + 1),
    };
    let line = text.get(start..)?.lines().next().unwrap_or_default();
    if line.len() > MAX_LINE {
        return None;
    }
    let from = match begin {
        0 => line
            .char_indices()
            .nth(usize::try_from(span.column).ok()?.checked_sub(1)?)
            .map_or(line.len(), |(at, _)| at),
        _ => begin.checked_sub(start)?.min(line.len()),
    };
    let end = usize::try_from(span.end).ok()?.saturating_sub(start);
    let to = end.clamp(from, line.len());
    let width = line.get(from..)?.chars().next().map_or(0, char::len_utf8);
    Some((line, from..to.max(from + width)))
}
