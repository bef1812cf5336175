//! Random valid and invalid schedules, and random instants, most of them near a clock change.

use std::iter;
use std::ops::RangeInclusive;

use fastrand::Rng;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::oracle::Request;

/// The range of instants: from the first at which robfig differs only in the zones that the test lists, to five years before
/// the end of the calendar.
const YEARS: (&str, &str) = ("2026-01-01T00:00:00Z", "2095-01-01T00:00:00Z");

const DAY: i64 = 86_400;

struct Field {
    numbers: RangeInclusive<u8>,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        numbers: 0..=59,
        names: &[],
    },
    Field {
        numbers: 0..=23,
        names: &[],
    },
    Field {
        numbers: 1..=31,
        names: &[],
    },
    Field {
        numbers: 1..=12,
        names: &[
            "jan", "Feb", "MAR", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "DEC",
        ],
    },
    Field {
        numbers: 0..=6,
        names: &["sun", "Mon", "TUE", "wed", "thu", "fr\u{130}", "sat"],
    },
];

const DESCRIPTORS: [&str; 10] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
    "@Daily",
    "@reboot",
    "@every",
];

/// The pieces that are inserted into an invalid schedule.
const PIECES: [&str; 34] = [
    "",
    "",
    " ",
    "  ",
    "\t",
    "\u{a0}",
    "\u{2003}",
    ",",
    "-",
    "/",
    "*",
    "?",
    "+",
    "0",
    "7",
    "60",
    "007",
    "1.5",
    "0x1",
    "9223372036854775808",
    "99999999999999999999x",
    "mon",
    "SUN",
    "jan",
    "fr\u{130}",
    "\u{130}",
    "@",
    "TZ=",
    "\u{e9}",
    "\u{1f600}",
    "\"",
    "\\",
    "\u{301}",
    "\u{7f}",
];

const UNITS: [&str; 10] = ["h", "m", "s", "ms", "us", "\u{b5}s", "\u{3bc}s", "ns", "d", ""];

struct Zone {
    name: String,
    zone: TimeZone,
}

pub(crate) struct Random {
    rng: Rng,
    zones: Vec<Zone>,
    /// The zones with clock changes in these years.
    changing: Vec<usize>,
}

fn second(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut zones: Vec<Zone> = TimeZoneDatabase::bundled()
            .available()
            .map(|name| Zone {
                zone: TimeZoneDatabase::bundled().get(name.as_str()).unwrap(),
                name: name.as_str().to_owned(),
            })
            // Neither an IANA zone nor a zone of cassgate; Go programs have no file for it.
            .filter(|zone| zone.name != "Etc/Unknown")
            .collect();
        zones.sort_by(|a, b| a.name.cmp(&b.name));
        let start: Timestamp = YEARS.0.parse().unwrap();
        let changes = |zone: &Zone| zone.zone.following(start).next().is_some();
        let changing = (0..zones.len()).filter(|place| changes(&zones[*place])).collect();
        Self {
            rng: Rng::with_seed(seed),
            zones,
            changing,
        }
    }

    pub(crate) fn request(&mut self) -> Request {
        let (own, local) = (self.zone(), self.zone());
        let prefixed = self.rng.u8(..10) < 3;
        let text = self.schedule();
        let (expr, effective) = if prefixed {
            (self.prefix(own, &text), own)
        } else {
            (text, local)
        };
        let (from, near_change) = self.instant(effective);
        // robfig tries 2.6 million minutes for a schedule without runs, so such a schedule is only parsed.
        let minutes = expr
            .split_whitespace()
            .find(|word| !word.contains('='))
            .unwrap_or_default();
        let count = if minutes.chars().all(|c| c == ',') {
            0
        } else {
            self.rng.usize(1..=4)
        };
        Request {
            expr,
            from,
            zone: self.zones[local].name.clone(),
            count,
            near_change,
        }
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())].clone()
    }

    fn zone(&mut self) -> usize {
        if self.rng.u8(..10) < 8 {
            self.changing[self.rng.usize(..self.changing.len())]
        } else {
            self.rng.usize(..self.zones.len())
        }
    }

    /// Adds a prefix with the zone, sometimes with an error in it.
    fn prefix(&mut self, zone: usize, text: &str) -> String {
        let name = self.zones[zone].name.clone();
        let word = self.one(&["TZ=", "CRON_TZ="]);
        match self.rng.u8(..40) {
            0 => format!("{word}{name}"),
            1 => format!("{word}{} {text}", name.to_lowercase()),
            2 => format!("{word}{name}x {text}"),
            3 => format!("{word}../{name} {text}"),
            4 => format!("{word}/{name} {text}"),
            5 => format!("{word}{name}  {text} \t"),
            6 => format!("{word}Local {text}"),
            7 => format!("{word} {text}"),
            8 => format!("{word}UTC {text}"),
            _ => format!("{word}{name} {text}"),
        }
    }

    fn schedule(&mut self) -> String {
        match self.rng.u8(..20) {
            0 => self.one(&DESCRIPTORS).to_owned(),
            1 => self.interval(),
            2..=4 => {
                let whole = self.five_fields();
                self.broken(&whole)
            }
            _ => self.five_fields(),
        }
    }

    fn interval(&mut self) -> String {
        let parts = self.rng.usize(1..=2);
        let length: String = iter::repeat_with(|| {
            let number = self.rng.u32(..200);
            let fraction = self.one(&["", "", ".5", ".", ".000001"]);
            let unit = self.one(&UNITS);
            format!("{number}{fraction}{unit}")
        })
        .take(parts)
        .collect();
        let sign = self.one(&["", "", "", "-", "+", " "]);
        format!("@every {sign}{length}")
    }

    fn five_fields(&mut self) -> String {
        let fields: Vec<String> = FIELDS.iter().map(|field| self.field(field)).collect();
        fields.join(" ")
    }

    fn field(&mut self, field: &Field) -> String {
        match self.rng.u8(..60) {
            0 => return ",".to_owned(),
            1..=24 => return "*".to_owned(),
            _ => {}
        }
        let items = self.rng.usize(1..=3);
        let items: Vec<String> = iter::repeat_with(|| self.item(field)).take(items).collect();
        items.join(",")
    }

    fn number(&mut self, field: &Field) -> u8 {
        self.rng.u8(field.numbers.clone())
    }

    /// Returns a number as digits, or by its name if it has one.
    fn written(&mut self, field: &Field, number: u8) -> String {
        let name = field.names.get(usize::from(number - field.numbers.start()));
        match name {
            Some(name) if self.rng.bool() => (*name).to_owned(),
            _ => number.to_string(),
        }
    }

    fn item(&mut self, field: &Field) -> String {
        let (a, b) = (self.number(field), self.number(field));
        let step = self.rng.u8(1..=40);
        match self.rng.u8(..40) {
            0..=3 => self.one(&["*", "?"]).to_owned(),
            4..=9 => format!("*/{step}"),
            10..=15 => {
                let (a, b) = (self.written(field, a.min(b)), self.written(field, a.max(b)));
                format!("{a}-{b}")
            }
            16..=18 => format!("{}-{}/{step}", a.min(b), a.max(b)),
            19..=20 => format!("{}/{step}", self.written(field, a)),
            21 => format!("{a}-{b}"),
            _ => self.written(field, a),
        }
    }

    /// Replaces a character by a piece, or inserts a piece before it.
    fn broken(&mut self, text: &str) -> String {
        let mut text: Vec<char> = text.chars().collect();
        for _ in 0..self.rng.usize(1..=2) {
            let place = self.rng.usize(..text.len());
            let piece: Vec<char> = self.one(&PIECES).chars().collect();
            let end = place + usize::from(self.rng.bool());
            text.splice(place..end, piece);
            if text.is_empty() {
                break;
            }
        }
        text.into_iter().collect()
    }

    /// Returns an instant, and true if a clock change of the zone is within three days of it.
    fn instant(&mut self, zone: usize) -> (i64, bool) {
        let any = self.rng.i64(second(YEARS.0)..second(YEARS.1));
        if self.rng.u8(..10) < 2 {
            return (any, false);
        }
        let start = Timestamp::from_second(any).unwrap();
        let change = self.zones[zone].zone.following(start).next();
        match change.map(|change| change.timestamp().as_second()) {
            Some(change) if change < second(YEARS.1) => (change + self.rng.i64(-3 * DAY..3 * DAY), true),
            _ => (any, false),
        }
    }
}
