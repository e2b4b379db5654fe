//! Cron lines against Python's `croniter`, which many schedules were written for: two thousand random lines, on civil
//! time, whose ticks have to be the same in both directions.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use ratchet_core::spec::{Catchup, OnGap, OnOverlap, Overlap, Schedule};
use ratchet_runtime::cron::Timetable;
use serde_json::Value;

const LINES: usize = 2_000;

/// The lines are the same in every test.
const SEED: u64 = 20_240_229;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A simple generator (SplitMix64): the lines can be repeated, on every machine and in every version.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % u64::from(end)) as u32
    }

    fn one_in(&mut self, chances: u32) -> bool {
        self.below(chances) == 0
    }

    fn between(&mut self, least: u32, greatest: u32) -> u32 {
        least + self.below(greatest - least + 1)
    }
}

/// What may stand in a field.
struct Field {
    least: u32,
    greatest: u32,
    /// The widest step.
    values: u32,
    names: &'static [&'static str],
    /// One in so many fields is a lone `*`.
    all: u32,
}

const FIELDS: [Field; 5] = [
    Field {
        least: 0,
        greatest: 59,
        values: 60,
        names: &[],
        all: 6,
    },
    Field {
        least: 0,
        greatest: 23,
        values: 24,
        names: &[],
        all: 4,
    },
    Field {
        least: 1,
        greatest: 31,
        values: 31,
        names: &[],
        all: 2,
    },
    Field {
        least: 1,
        greatest: 12,
        values: 12,
        names: &MONTHS,
        all: 2,
    },
    Field {
        least: 0,
        greatest: 7,
        values: 7,
        names: &WEEKDAYS,
        all: 2,
    },
];

impl Field {
    fn random(&self, random: &mut Random) -> String {
        if random.one_in(self.all) {
            return "*".to_owned();
        }
        let parts = [1, 1, 1, 2, 2, 3][random.below(6) as usize];
        let parts: Vec<String> = (0..parts).map(|_| self.part(random)).collect();
        parts.join(",")
    }

    /// A value, a range (also one that goes round), a step of all, of a range or from a value on.
    fn part(&self, random: &mut Random) -> String {
        match random.below(8) {
            0..=2 => self.value(random),
            3 | 4 => format!("{}-{}", self.value(random), self.value(random)),
            5 => format!("*/{}", random.between(1, self.values)),
            6 => {
                let step = random.between(1, self.values / 2);
                format!("{}-{}/{step}", self.value(random), self.value(random))
            }
            _ => format!("{}/{}", self.value(random), random.between(1, self.values / 2)),
        }
    }

    fn value(&self, random: &mut Random) -> String {
        let number = random.between(self.least, self.greatest);
        let name = number
            .checked_sub(self.least)
            .and_then(|place| self.names.get(place as usize));
        match name {
            Some(name) if random.one_in(3) => name.to_uppercase(),
            Some(name) if random.one_in(2) => (*name).to_owned(),
            _ => number.to_string(),
        }
    }
}

/// Where the search begins: anywhere in this century, and often where months and leap years end.
fn instant(random: &mut Random) -> DateTime {
    let year = random.between(2000, 2099) as i16;
    let date = match random.below(4) {
        0 => Date::new(year - year % 4, 2, 27 + random.below(3) as i8).unwrap(),
        1 => Date::new(year, random.between(1, 12) as i8, 1).unwrap().last_of_month(),
        _ => Date::new(year, random.between(1, 12) as i8, random.between(1, 28) as i8).unwrap(),
    };
    match random.below(3) {
        0 => date.at(23, 59, 0, 0),
        1 => date.at(0, 0, 0, 0),
        _ => date.at(random.below(24) as i8, random.below(60) as i8, 0, 0),
    }
}

fn ask_croniter(questions: &str) -> Vec<Value> {
    let tools = std::env::var_os("RATCHET_TEST_TOOLS").map(PathBuf::from);
    let python = tools.map_or_else(|| PathBuf::from("python3"), |tools| tools.join("python"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/croniter_ticks.py");
    let mut asked = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `make test` installs it", python.display()));
    let mut input = asked.stdin.take().unwrap();
    let questions = questions.to_owned();
    let writer = std::thread::spawn(move || input.write_all(questions.as_bytes()));
    let output = asked.wait_with_output().unwrap();
    let written = writer.join().unwrap();
    assert!(
        output.status.success() && written.is_ok(),
        "{} has no croniter; `make test` installs it and sets RATCHET_TEST_TOOLS",
        python.display()
    );
    let answers = String::from_utf8(output.stdout).unwrap();
    answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn timetable(cron: &str) -> Result<Timetable, String> {
    let schedule = Schedule {
        cron: cron.to_owned(),
        timezone: "UTC".to_owned(),
        on_gap: OnGap::Shift,
        on_overlap: OnOverlap::First,
        catchup: Catchup::None,
        overlap: Overlap::Skip,
    };
    Timetable::new(&schedule).map_err(|error| error.to_string())
}

/// At most `count` ticks, each sought from the one before.
fn ticks(start: DateTime, count: usize, step: impl Fn(Timestamp) -> Option<Timestamp>) -> Vec<String> {
    let start = start.to_zoned(TimeZone::UTC).unwrap().timestamp();
    let found = std::iter::successors(step(start), |tick| step(*tick)).take(count);
    found.map(|tick| TimeZone::UTC.to_datetime(tick).to_string()).collect()
}

/// Y-080, Y-081
#[test]
fn two_thousand_random_lines_tick_as_croniter_says() {
    let mut random = Random(SEED);
    let cases: Vec<(DateTime, String)> = (0..LINES)
        .map(|_| {
            let fields: Vec<String> = FIELDS.iter().map(|field| field.random(&mut random)).collect();
            (instant(&mut random), fields.join(" "))
        })
        .collect();
    let questions: String = cases.iter().map(|(start, line)| format!("{start};{line}\n")).collect();
    let answers = ask_croniter(&questions);
    assert_eq!(answers.len(), LINES);
    let (mut compared, mut never, mut differences) = (0, 0, Vec::new());
    for ((start, line), answer) in cases.iter().zip(&answers) {
        let table = match timetable(line) {
            Ok(table) => table,
            Err(error) => {
                differences.push(format!("`{line}`: refused, {error}; croniter says {answer}"));
                continue;
            }
        };
        let next = ticks(*start, 5, |tick| table.next_after(tick));
        let last = ticks(*start, 3, |tick| table.last_before(tick));
        let same = match answer {
            _ if answer["never"] == true => {
                never += 1;
                next.is_empty() && last.is_empty()
            }
            _ => {
                compared += 1;
                answer["next"] == serde_json::json!(next) && answer["last"] == serde_json::json!(last)
            }
        };
        if !same {
            differences.push(format!(
                "`{line}` from {start}: {next:?} {last:?}; croniter says {answer}"
            ));
        }
    }
    println!("{compared} lines compared, {never} that never tick");
    assert!(
        differences.is_empty(),
        "{} of {LINES} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(compared > LINES * 9 / 10, "only {compared} lines have ticks");
}
