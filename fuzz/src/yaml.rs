//! The target for `cassgate check`: any bytes as a YAML file, with a report in every format.
//!
//! Every input is read without a panic and within bounds, with and without the parser alike, every reported position is within the
//! file, and no format lets a text escape from its place. `tests/check` also calls it with generated and damaged files.

use cassgate::check::files::Input;
use cassgate::check::load::Loaded;
use cassgate::check::render::{Format, Style};
use cassgate::check::report::Report;
use cassgate::check::yaml::Reader;
use cassgate::check::{Settings, check};

/// Judges `data` as one file and writes the report in every format.
///
/// # Panics
/// Panics if a property does not hold.
pub fn yaml(data: &[u8]) {
    // A plain text has no anchors, whose aliases may expand to a large output here, and is not read with the parser.
    if let Some(text) = std::str::from_utf8(data).ok().filter(|text| !text.contains('&')) {
        let all = |reader: Reader<'_>| format!("{:?}", reader.collect::<Vec<_>>());
        assert_eq!(all(Reader::new(text)), all(Reader::with_parser(text)), "{text:?}");
    }
    let report = check_file(data);
    let lines = data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 2;
    let check_line = |line: u32| {
        assert!(
            usize::try_from(line).is_ok_and(|line| (1..=lines).contains(&line)),
            "{line}"
        );
    };
    for object in &report.objects {
        check_line(object.line);
        for finding in &object.findings {
            check_line(finding.span.line);
            assert!(finding.span.column >= 1 && finding.span.begin <= finding.span.end);
            assert!(usize::try_from(finding.span.end).is_ok_and(|end| end <= data.len()));
        }
    }
    report.errors.iter().for_each(|error| check_line(error.line));
    assert_eq!(report.summary.objects, report.objects.len());

    let json = render(&report, Format::Json);
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
    assert!(
        parsed
            .pointer("/objects")
            .is_some_and(serde_json::Value::is_array),
        "{json}"
    );
    for format in [Format::Text, Format::Github, Format::Markdown] {
        let text = render(&report, format);
        let is_control = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(is_control), "{text:?}");
    }
    assert!(!render(&report, Format::Junit).contains('\u{1b}'));
    assert!(!render(&report, Format::Sarif).is_empty());
}

#[expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
fn check_file(data: &[u8]) -> Report {
    let mut loaded = Loaded::default();
    loaded.add(Input {
        name: "any.yaml".to_owned(),
        bytes: Ok(data.to_vec()),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let report = runtime
        .map(|runtime| runtime.block_on(check(loaded, &Settings::default(), None, |_, _| ())))
        .ok();
    report.expect("a runtime without drivers needs nothing of the system")
}

fn render(report: &Report, format: Format) -> String {
    let style = Style {
        colour: false,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut written = Vec::new();
    assert!(format.write(report, style, &mut written).is_ok());
    String::from_utf8(written).unwrap_or_default()
}
