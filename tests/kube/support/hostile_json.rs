//! Reviews whose JSON is meant to take much memory: any shape at any place.

use std::{fmt::Write as _, io};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::attack::Target;

/// The shapes of hostile values.
const SHAPES: [Shape; 18] = [
    Shape::repeated("[", "[],", "[]]"),
    Shape::repeated("[", "{},", "{}]"),
    Shape::repeated("[", r#"{"source":""},"#, "{}]"),
    Shape::repeated(
        "[",
        r#"{"hostId":"a","datacenter":"b"},"#,
        r#"{"hostId":"a","datacenter":"b"}]"#,
    ),
    Shape::repeated("[", r#"{"hostId":""},"#, r#"{"hostId":""}]"#),
    Shape::repeated("[", "1e9,", "1]"),
    Shape::repeated("[", "null,", "null]"),
    Shape::repeated("[", r#""","#, r#"""]"#),
    Shape::repeated("", "[", ""),
    Shape::repeated("", r#"{"a":"#, ""),
    Shape::repeated("\"", "x", "\""),
    Shape::repeated("\"", r"\n", "\""),
    Shape::repeated("\"", r"\u00e9", "\""),
    Shape::repeated("\"", "!,", "\""),
    Shape::repeated("\"", "k.t,", "\""),
    Shape::repeated("{\"", r"\n", "\":1}"),
    Shape::keys("\"\","),
    Shape::keys("[],"),
];

/// The text before and after the hostile value, which stands for `@`.
const PLACES: [&str; 19] = [
    r#""object":{"metadata":{"name":"b"},"spec":@}"#,
    r#""object":{"metadata":{"name":"b"},"spec":{SPEC,"entities":@}}"#,
    r#""object":{"metadata":{"name":"b"},"spec":{SPEC,"nodes":@}}"#,
    r#""object":{"metadata":{"name":"b"},"spec":{SPEC,"rename":@}}"#,
    r#""object":{"metadata":{"name":"b"},"spec":{SPEC,"unknown":@}}"#,
    r#""object":{"metadata":{"name":"b"},"spec":{SPEC,"schedule":@}}"#,
    r#""object":{"metadata":{"name":"b"},"spec":{SPEC},"status":@}"#,
    r#""object":{"metadata":{"name":"b"},"spec":{SPEC},"status":{"condition":{"type":"RUNNING","failureCause":@}}}"#,
    r#""object":{"metadata":{"name":"b","annotations":@},"spec":{SPEC}}"#,
    r#""object":{"metadata":{"name":"b","annotations":{"cassgate.db.orange.com/confirm":@}},"spec":{SPEC}}"#,
    r#""object":{"metadata":{"name":"b","managedFields":@},"spec":{SPEC}}"#,
    r#""object":{"metadata":{"name":@},"spec":{SPEC}}"#,
    r#""oldObject":{"spec":{SPEC},"status":@},"object":{"spec":{SPEC,"entities":"k"}}"#,
    r#""oldObject":{"spec":{SPEC},"status":{"id":"i","condition":{"type":"COMPLETED"},"x":@}},"object":{"spec":{SPEC}}"#,
    r#""oldObject":{"spec":{SPEC,"nodes":@}},"object":{"spec":{SPEC,"entities":"k"}}"#,
    r#""options":@,"object":{"spec":{SPEC}}"#,
    r#""unknown":@,"object":{"spec":{SPEC}}"#,
    r#""userInfo":{"username":"u","groups":@},"object":{"spec":{SPEC,"secret":"absent"}}"#,
    r#""uid":@,"object":{"spec":{SPEC}}"#,
];

/// The lengths of the hostile value, in bytes: as much as is read, just below the limits of a spec, and small.
const LENGTHS: [usize; 4] = [8_300_000, 255_000, 60_000, 7_000];

const SPEC: &str =
    r#""cassandraCluster":"c","cassandraBackup":"b","storageLocation":"s3://b","snapshotTag":"t""#;

/// The number of different reviews of [`send`].
pub(crate) const VARIANTS: usize = SHAPES.len() * PLACES.len() * LENGTHS.len() * 4;

/// A value of any length.
#[derive(Clone, Copy)]
struct Shape {
    open: &'static str,
    item: &'static str,
    close: &'static str,
    /// True if each item needs a key of its own before it.
    has_keys: bool,
}

impl Shape {
    const fn repeated(open: &'static str, item: &'static str, close: &'static str) -> Self {
        Self {
            open,
            item,
            close,
            has_keys: false,
        }
    }

    const fn keys(item: &'static str) -> Self {
        Self {
            open: "{",
            item,
            close: "\"\":\"\"}",
            has_keys: true,
        }
    }

    fn item(self, number: usize, into: &mut String) {
        if self.has_keys {
            let _ = write!(into, "\"k{number:x}.t\":");
        }
        into.push_str(self.item);
    }

    /// Returns the number of items in about this many bytes.
    fn count(self, length: usize) -> usize {
        length / (self.item.len() + if self.has_keys { 11 } else { 0 })
    }

    /// Returns the end of an item; a nested one has to be closed again.
    fn end(self) -> &'static str {
        match self.item {
            "[" => "]",
            r#"{"a":"# => "}",
            _ => "",
        }
    }
}

/// Sends one review and reads its answer. The number selects the review.
pub(crate) async fn send(target: Target, number: usize) -> io::Result<()> {
    let shape = SHAPES[number % SHAPES.len()];
    let rest = number / SHAPES.len();
    let place = PLACES[rest % PLACES.len()].replace("SPEC", SPEC);
    let rest = rest / PLACES.len();
    let length = LENGTHS[rest % LENGTHS.len()];
    let (path, kind) = [
        ("/validate", "CassandraBackup"),
        ("/mutate", "CassandraBackup"),
        ("/validate", "CassandraRestore"),
        ("/mutate", "CassandraRestore"),
    ][rest / LENGTHS.len() % 4];
    let (before, after) = place.split_once('@').unwrap();
    let operation = if place.contains("oldObject") {
        "UPDATE"
    } else {
        "CREATE"
    };
    let uid = if place.contains("uid") {
        ""
    } else {
        r#""uid":"u","#
    };
    let head = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{{uid}"operation":"{operation}","namespace":"n",
        "kind":{{"group":"db.orange.com","version":"v2","kind":"{kind}"}},{before}{}"#,
        shape.open
    );
    let count = shape.count(length);
    let inner = if shape.end().is_empty() { "" } else { "1" };
    let tail = format!("{}{after}}}}}", shape.close);
    let mut measured = String::new();
    let items: usize = if shape.has_keys {
        (0..count)
            .map(|number| {
                measured.clear();
                shape.item(number, &mut measured);
                measured.len()
            })
            .sum()
    } else {
        count * shape.item.len()
    };
    let total = head.len() + items + inner.len() + count * shape.end().len() + tail.len();

    let mut stream = target.tls("http/1.1").await?;
    let request = format!(
        "POST {path}?timeout=2s HTTP/1.1\r\nhost: cassgate\r\nconnection: close\r\ncontent-length: {total}\r\n\r\n{head}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut part = String::with_capacity(70 * 1024);
    for number in 0..count {
        shape.item(number, &mut part);
        if part.len() >= 64 * 1024 {
            stream.write_all(part.as_bytes()).await?;
            part.clear();
        }
    }
    part.push_str(inner);
    for _ in 0..count {
        part.push_str(shape.end());
        if part.len() >= 64 * 1024 {
            stream.write_all(part.as_bytes()).await?;
            part.clear();
        }
    }
    part.push_str(&tail);
    stream.write_all(part.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let head = answer.get(..12).unwrap_or_default();
    let is_answer = [
        &b"HTTP/1.1 200"[..],
        b"HTTP/1.1 400",
        b"HTTP/1.1 413",
        b"HTTP/1.1 503",
    ]
    .contains(&head);
    assert!(is_answer, "{path} {before}: {}", String::from_utf8_lossy(head));
    Ok(())
}

/// Sends a body in chunks of one byte, each of which is a part of its own.
pub(crate) async fn send_in_bytes(target: Target, _: usize) -> io::Result<()> {
    let mut stream = target.tls("http/1.1").await?;
    stream
        .write_all(b"POST /validate HTTP/1.1\r\nhost: cassgate\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    let part = "1\r\n \r\n".repeat(10_000);
    for _ in 0..50 {
        stream.write_all(part.as_bytes()).await?;
    }
    stream.write_all(b"0\r\n\r\n").await?;
    stream.read_u8().await.map(|_| ())
}
