use std::io::{self, BufReader, Read, Write};

use clap::Parser;
use jiff::Timestamp;

use super::query::Input;
use super::{ScheduleArgs, ScheduleCommandError};

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: ScheduleArgs,
}

fn parse(args: &[&str]) -> ScheduleArgs {
    Command::try_parse_from(["schedule"].iter().chain(args))
        .unwrap()
        .args
}

fn parse_error(args: &[&str]) -> String {
    Command::try_parse_from(["schedule"].iter().chain(args))
        .unwrap_err()
        .to_string()
}

const NOW: &str = "2026-10-24T12:00:00Z";

fn answer(args: &[&str], input: impl AsRef<[u8]>) -> (Input, String) {
    let mut output = Vec::new();
    let mut input = BufReader::new(input.as_ref());
    let usable = super::answer(&parse(args), NOW.parse().unwrap(), &mut input, &mut output).unwrap();
    (usable, String::from_utf8(output).unwrap())
}

fn usable_answer(args: &[&str], input: &str) -> String {
    let (usable, output) = answer(args, input);
    assert_eq!(usable, Input::Usable, "{output}");
    output
}

#[test]
fn a_report_has_every_line() {
    insta::assert_snapshot!(usable_answer(
        &["CRON_TZ=Europe/Berlin 30 2 * * *", "--zone=Asia/Tokyo"],
        ""
    ));
}

#[test]
fn a_schedule_in_utc_has_one_column() {
    insta::assert_snapshot!(usable_answer(&["0 9 * * mon-fri", "--count=2"], ""));
}

#[test]
fn an_interval_is_counted_from_the_start() {
    insta::assert_snapshot!(usable_answer(
        &[
            "@every 90m",
            "--from=2026-03-28T23:00:00Z",
            "--zone=Europe/Berlin"
        ],
        ""
    ));
}

#[test]
fn a_schedule_that_never_fires_says_so() {
    insta::assert_snapshot!(usable_answer(&["0 0 30 2 *"], ""));
}

#[test]
fn a_schedule_that_has_ended_says_so() {
    let ended = usable_answer(&["@daily", "--from=2101-01-01T00:00:00Z"], "");
    assert!(
        ended.contains("Next          no run until the end of the fifth year after --from\n"),
        "{ended}"
    );
}

#[test]
fn a_count_of_zero_lists_no_runs() {
    assert!(!usable_answer(&["@daily", "--count=0"], "").contains("Next"));
}

#[test]
fn one_schedule_as_json_is_a_line() {
    assert_eq!(
        usable_answer(&["TZ=Europe/Berlin 30 2 * * *", "--format=json", "--count=1"], ""),
        concat!(
            r#"{"expr":"TZ=Europe/Berlin 30 2 * * *","valid":true,"words":"every day at 02:30","#,
            r#""zone":"Europe/Berlin","next":[1792888200],"shortestGapSeconds":86400,"longestGapSeconds":86400,"#,
            r#""clockChanges":[{"at":1792890000,"time":"2026-10-25T02:30:00","effect":"twice"},"#,
            r#"{"at":1806195600,"time":"2027-03-28T02:30:00","effect":"skipped"}]}"#,
            "\n"
        )
    );
    let (usable, invalid) = answer(&["7 * * * 7", "--format=json"], "");
    assert_eq!(
        (usable, invalid.as_str()),
        (
            Input::Unusable,
            "{\"expr\":\"7 * * * 7\",\"valid\":false,\"error\":\"end of range (7) above maximum (6): 7\"}\n"
        )
    );
}

#[test]
fn an_invalid_schedule_has_the_error_of_robfig() {
    let error = super::answer(
        &parse(&["0 3 * *"]),
        Timestamp::UNIX_EPOCH,
        &mut BufReader::new(io::empty()),
        &mut io::sink(),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "expected exactly 5 fields, found 4: [0 3 * *]"
    );
}

#[test]
fn lines_of_json_are_answered_by_lines_of_json() {
    let input = concat!(
        r#"{"expr":"0 0 * * *","from":"2026-01-01T00:00:00Z","zone":"UTC","count":2}"#,
        "\n",
        r#"{"expr":"0 0 * * *","from":1767225600,"zone":"Europe/Berlin","count":1}"#,
        "\r\n",
        r#"{"expr":"TZ=UTC 0 0 * * *","from":"1767225600","zone":"Europe/Berlin","count":1}"#,
        "\n",
        r#"{"expr":"@every 1h","from":1767225600.5,"count":1}"#,
        "\n",
        r#"{"expr":"0 0 29 2 *","from":"2096-02-01T00:00:00Z"}"#,
        "\n",
        r#"{"expr":"0 0 30 2 *","count":3}"#,
        "\n",
        r#"{"expr":"x","count":0}"#,
        "\n",
        r#"{"expr":"0 0 * * *","count":0,"zone":null,"from":null}"#,
    );
    assert_eq!(
        usable_answer(&["-", "--format=json"], input)
            .lines()
            .collect::<Vec<_>>(),
        [
            r#"{"expr":"0 0 * * *","valid":true,"next":[1767312000,1767398400]}"#,
            r#"{"expr":"0 0 * * *","valid":true,"next":[1767308400]}"#,
            r#"{"expr":"TZ=UTC 0 0 * * *","valid":true,"next":[1767312000]}"#,
            r#"{"expr":"@every 1h","valid":true,"next":[1767229200]}"#,
            r#"{"expr":"0 0 29 2 *","valid":true,"next":[3981312000]}"#,
            r#"{"expr":"0 0 30 2 *","valid":true,"next":[]}"#,
            r#"{"expr":"x","valid":false,"error":"expected exactly 5 fields, found 1: [x]"}"#,
            r#"{"expr":"0 0 * * *","valid":true,"next":[]}"#,
        ]
    );
}

#[test]
fn an_unusable_line_is_answered_and_the_next_one_is_read() {
    let long = format!("{{\"expr\":\"{}\"}}", "*".repeat(70_000));
    let deep = "[".repeat(60_000);
    let mut input = [
        "",
        "0 3 * * *",
        "{}",
        r#"{"expr":7}"#,
        r#"{"expr":"@daily","form":1}"#,
        r#"{"expr":"@daily","from":"soon"}"#,
        r#"{"expr":"@daily","from":1e300}"#,
        r#"{"expr":"@daily","from":[]}"#,
        r#"{"expr":"@daily","zone":"Europ/Berlin"}"#,
        r#"{"expr":"@daily","count":10001}"#,
        r#"{"expr":"@daily","count":-1}"#,
        &long,
        &deep,
    ]
    .join("\n")
    .into_bytes();
    input.extend(b"\n{\"expr\":\"\xff\"}\n{\"expr\":\"@daily\",\"count\":1,\"from\":0}");
    let (usable, output) = answer(&["-", "--format=json"], input);
    assert_eq!(usable, Input::Unusable);
    assert_eq!(
        output.lines().last(),
        Some(r#"{"expr":"@daily","valid":true,"next":[86400]}"#)
    );
    insta::assert_snapshot!(output);
}

#[test]
fn lines_of_text_are_answered_by_reports() {
    assert_eq!(
        usable_answer(&["-", "--count=1"], "@daily\r\n\n@hourly"),
        usable_answer(&["-", "--count=1"], "@daily\n@hourly\n\n")
    );
    let (usable, output) = answer(&["-", "--count=1"], b"@daily\n0 3 * *\n\x1b\xff[2J\n");
    assert_eq!(usable, Input::Unusable);
    insta::assert_snapshot!(output);
}

#[test]
fn empty_input_has_no_answer() {
    for format in ["--format=json", "--format=text"] {
        assert_eq!(usable_answer(&["-", format], ""), "");
    }
}

#[test]
fn an_unusable_option_says_what_to_write() {
    let error = parse_error(&["@daily", "--zone=Europ/Berlin"]);
    assert!(
        error.contains(r#"unknown time zone "Europ/Berlin"; did you mean Europe/Berlin"#),
        "{error}"
    );
    let error = parse_error(&["@daily", "--from=tomorrow"]);
    assert!(
        error.contains("write RFC 3339 as in 2026-10-25T00:00:00Z, or seconds since 1970"),
        "{error}"
    );
    for count in ["-1", "10001", "many"] {
        assert!(
            parse_error(&["@daily", &format!("--count={count}")]).contains("--count"),
            "{count}"
        );
    }
    assert_eq!(
        parse(&["@daily", "--from=60"]).from,
        Some("1970-01-01T00:01:00Z".parse().unwrap())
    );
}

/// Input of two lines. It panics if the second is read before the first is answered.
struct LineByLine<'a> {
    answered: &'a std::cell::Cell<bool>,
    reads: u8,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(
            self.reads == 0 || self.answered.get(),
            "an answer is held back while the next line is awaited"
        );
        self.reads += 1;
        let line = b"{\"expr\":\"@daily\"}\n";
        if self.reads > 2 {
            return Ok(0);
        }
        buffer[..line.len()].copy_from_slice(line);
        Ok(line.len())
    }
}

struct FlushedOutput<'a>(&'a std::cell::Cell<bool>);

impl Write for FlushedOutput<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.set(true);
        Ok(())
    }
}

#[test]
fn an_answer_is_flushed_before_the_next_line_is_read() {
    let answered = std::cell::Cell::new(false);
    let mut input = BufReader::new(LineByLine {
        answered: &answered,
        reads: 0,
    });
    let result = super::answer(
        &parse(&["-", "--format=json"]),
        Timestamp::UNIX_EPOCH,
        &mut input,
        &mut FlushedOutput(&answered),
    );
    assert!(matches!(result, Ok(Input::Usable)), "{result:?}");
}

/// An output whose reader has closed the pipe.
struct ClosedPipe;

impl Write for ClosedPipe {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_ends_the_command() {
    let mut input = BufReader::new(&b"{}\n{}\n"[..]);
    let result = super::answer(
        &parse(&["-", "--format=json"]),
        Timestamp::UNIX_EPOCH,
        &mut input,
        &mut ClosedPipe,
    );
    assert!(
        matches!(&result, Err(ScheduleCommandError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe),
        "{result:?}"
    );
}
