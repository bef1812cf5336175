//! Any bytes as YAML, judged and told in every format.
//!
//! What every input has to obey: it is read to an end without a panic and within bounds; everything that is told stands
//! within the text; no format lets a text out of its place. `tests/check` calls it with made-up and with spoilt files
//! too.

use cassgate::check::files::Input;
use cassgate::check::load::Loaded;
use cassgate::check::render::{Format, Style};
use cassgate::check::report::Report;
use cassgate::check::{Settings, check};

/// Judges `data` as one file and writes the report in every format.
///
/// # Panics
/// A property does not hold.
pub fn yaml(data: &[u8]) {
    let report = judged(data);
    let lines = data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 2;
    let within = |line: u32| {
        assert!(
            usize::try_from(line).is_ok_and(|line| (1..=lines).contains(&line)),
            "{line}"
        );
    };
    for object in &report.objects {
        within(object.line);
        for finding in &object.findings {
            within(finding.span.line);
            assert!(finding.span.column >= 1 && finding.span.begin <= finding.span.end);
            assert!(usize::try_from(finding.span.end).is_ok_and(|end| end <= data.len()));
        }
    }
    report.errors.iter().for_each(|error| within(error.line));
    assert_eq!(report.summary.objects, report.objects.len());

    let json = written(&report, Format::Json);
    let told: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
    assert!(
        told.pointer("/objects").is_some_and(serde_json::Value::is_array),
        "{json}"
    );
    for format in [Format::Text, Format::Github, Format::Markdown] {
        let text = written(&report, format);
        let foreign = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(foreign), "{text:?}");
    }
    assert!(!written(&report, Format::Junit).contains('\u{1b}'));
    assert!(!written(&report, Format::Sarif).is_empty());
}

#[expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
fn judged(data: &[u8]) -> Report {
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

fn written(report: &Report, format: Format) -> String {
    let style = Style {
        colour: false,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut written = Vec::new();
    assert!(format.write(report, style, &mut written).is_ok());
    String::from_utf8(written).unwrap_or_default()
}
