//! Worlds in which nothing changes, or something does: how often alarms fire.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::calibration::Random;
use super::*;
use crate::{Field, FieldKind, Known};

/// Columns of a simulated world: sixteen with numbers of several shapes, four with categories.
const COLUMNS: usize = 20;

struct World {
    random: Random,
    shift: f64,
}

impl World {
    fn rows(&mut self, count: usize) -> Rows {
        let columns = (0..COLUMNS).map(|column| match column {
            // Heavy tails, ties, missing values.
            0..=7 => Column::Number((0..count).map(|_| self.lognormal() * (1.0 + self.shift)).collect()),
            8..=11 => Column::Number((0..count).map(|_| (self.random.next() * 6.0).floor()).collect()),
            12..=15 => Column::Number(
                (0..count)
                    .map(|_| match self.random.next() {
                        draw if draw < 0.1 => f64::NAN,
                        draw => draw,
                    })
                    .collect(),
            ),
            _ => Column::Text((0..count).map(|_| Some(self.category().into())).collect()),
        });
        Rows::new(columns.collect()).unwrap()
    }

    fn lognormal(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| self.random.next()).sum();
        crate::arithmetic::exp(0.35 * (sum - 6.0))
    }

    /// 33 categories, each a little rarer than the one before.
    fn category(&mut self) -> String {
        let place = self.random.next();
        format!("{:02}", (33.0 * place * place) as usize)
    }
}

fn reference(world: &mut World, rows: usize) -> Reference {
    let profile = Profile::learn(&world.rows(rows), 0);
    let names = (0..COLUMNS).map(|column| format!("column {column}")).collect();
    Reference::new(&profile, names, "answer".to_owned())
}

fn counted(reference: &Reference, rows: &Rows) -> Counts {
    let mut counts = reference.counts();
    reference.count(&mut counts, rows, &[], 0);
    counts
}

fn fires(reference: &Reference, calibration: &Calibration, rows: &Rows) -> bool {
    let counts = counted(reference, rows);
    calibration.measure(reference, &counts).iter().any(Drift::is_alarm)
}

/// With no drift the alarms fire at the stated rate; what a shift of a tenth in eight columns does is printed.
#[test]
fn with_nothing_changed_windows_fire_at_the_stated_rate() {
    const RATE: f64 = 0.05;
    for (size, windows) in [(50, 2000), (300, 1200), (1000, 600)] {
        let mut world = World {
            random: Random(size as u64),
            shift: 0.0,
        };
        let (mut fired, mut caught, mut tried) = (0, 0, 0);
        // Several training sets: each knows its own world a little wrongly.
        for _ in 0..6 {
            let reference = reference(&mut world, 20_000);
            let calibration = Calibration::new(&reference, &counted(&reference, &world.rows(size)), RATE);
            for _ in 0..windows / 6 {
                tried += 1;
                fired += u32::from(fires(&reference, &calibration, &world.rows(size)));
            }
            world.shift = 0.1;
            for _ in 0..windows / 12 {
                caught += u32::from(fires(&reference, &calibration, &world.rows(size)));
            }
            world.shift = 0.0;
        }
        let rate = f64::from(fired) / f64::from(tried);
        let power = f64::from(caught) / f64::from(tried / 2);
        println!("window of {size}: fires at {rate:.3} where {RATE} is stated; at a shift of 10 %: {power:.3}");
        // Four standard errors above; below, what the steps of small windows leave unused.
        let error = (RATE * (1.0 - RATE) / f64::from(tried)).sqrt();
        assert!(rate < RATE + 4.0 * error, "window of {size}: {rate}");
        assert!(rate > 0.4 * RATE, "window of {size}: {rate}");
        if size == 1000 {
            assert!(power > 0.95, "{power}");
        }
    }
}

#[test]
fn what_changed_is_named() {
    let mut world = World {
        random: Random(7),
        shift: 0.0,
    };
    let reference = reference(&mut world, 5_000);
    let mut columns = world.rows(300).columns().to_vec();
    columns[0] = Column::Number(vec![f64::NAN; 300]);
    columns[1] = Column::Number(vec![1e9; 300]);
    columns[16] = Column::Text(vec![Some("new".into()); 300]);
    let mut counts = reference.counts();
    reference.count(&mut counts, &Rows::new(columns).unwrap(), &[], 300);
    let calibration = Calibration::new(&reference, &counts, 0.01);
    assert_eq!(
        calibration,
        Calibration::new(&reference, &counts, 0.01),
        "the same seed, the same thresholds"
    );
    let measured = calibration.measure(&reference, &counts);
    let alarms: Vec<(&str, &str)> = measured
        .iter()
        .filter(|drift| drift.is_alarm())
        .map(|drift| (drift.field.as_str(), drift.measure))
        .collect();
    assert_eq!(
        alarms,
        [
            ("column 0", "missing"),
            ("column 1", "ks"),
            ("column 1", "out_of_range"),
            ("column 16", "chi_square"),
            ("column 16", "unseen"),
            ("*", "out_of_distribution"),
        ]
    );
    assert!(measured.iter().all(|drift| drift.value.is_finite()));
}

#[test]
fn more_columns_and_smaller_windows_have_wider_thresholds() {
    let threshold = |columns: usize, size: u64| {
        let mut world = World {
            random: Random(9),
            shift: 0.0,
        };
        let all = world.rows(2_000);
        let rows = Rows::new(all.columns()[..columns].to_vec()).unwrap();
        let profile = Profile::learn(&rows, 0);
        let names = (0..columns).map(|column| column.to_string()).collect();
        let reference = Reference::new(&profile, names, String::new());
        let mut counts = reference.counts();
        reference.count(
            &mut counts,
            &all.select(&(0..size as usize).collect::<Vec<_>>()),
            &[],
            0,
        );
        let calibration = Calibration::new(&reference, &counts, 0.01);
        let measured = calibration.measure(&reference, &counts);
        measured
            .iter()
            .find(|drift| drift.measure == "ks")
            .unwrap()
            .threshold
            .unwrap()
    };
    assert!(threshold(1, 300) < threshold(20, 300));
    assert!(threshold(20, 1000) < threshold(20, 50));
}

/// Rows whose columns go with the hour of the day: times, four numbers of which one is missing more often at night, and categories.
struct Days {
    random: Random,
    shift: f64,
}

impl Days {
    /// As many rows of each of these hours.
    fn rows(&mut self, hours: std::ops::Range<i64>, of_each: usize) -> Rows {
        let hours: Vec<i64> = hours.flat_map(|hour| vec![hour; of_each]).collect();
        let times = hours.iter().map(|hour| {
            let day = (self.random.next() * 300.0) as i64;
            Some(day * 86_400 + hour * 3_600)
        });
        let times = Column::Timestamp(times.collect());
        let mut columns = vec![times];
        for column in 0..4 {
            let values = hours.iter().map(|hour| {
                let turn = *hour as f64 / 24.0 * std::f64::consts::TAU;
                let level = crate::arithmetic::sin(turn + f64::from(column));
                let is_missing = column == 3 && self.random.next() < if *hour < 8 { 0.2 } else { 0.02 };
                let noise: f64 = (0..12).map(|_| self.random.next()).sum::<f64>() - 6.0;
                if is_missing {
                    f64::NAN
                } else {
                    level + self.shift + 0.5 * noise
                }
            });
            columns.push(Column::Number(values.collect()));
        }
        let kinds = hours.iter().map(|hour| {
            let place = self.random.next();
            Some(format!("{:02}", (*hour as f64 / 2.0 + 12.0 * place * place) as usize).into())
        });
        columns.push(Column::Text(kinds.collect()));
        Rows::new(columns).unwrap()
    }

    /// References without and with seasons, of so many rows of each hour.
    fn references(&mut self, of_each: usize) -> [Reference; 2] {
        let rows = self.rows(0..24, of_each);
        let whole = Profile::learn(&rows, 86_400 * 400);
        let Column::Number(values) = &rows.columns()[1] else {
            unreachable!()
        };
        let whole = whole.with_answers(values);
        let seasonal = whole
            .clone()
            .with_seasons(Season::HourOfDay, 0, &rows, (&rows.columns()[0], values));
        [whole, seasonal].map(|profile| {
            let names = ["time", "a", "b", "c", "d", "kind"].map(str::to_owned).to_vec();
            Reference::new(&profile, names, "answer".to_owned())
        })
    }
}

/// Windows of a few hours in a world in which nothing has changed: compared with all hours they fire, compared with theirs they fire at
/// the stated rate.
#[test]
fn windows_that_cover_some_seasons_only_fire_at_the_stated_rate() {
    const RATE: f64 = 0.05;
    for (of_each, windows, training) in [(10, 900, 100), (40, 600, 400), (125, 300, 1000)] {
        let mut days = Days {
            random: Random(of_each as u64),
            shift: 0.0,
        };
        let (mut fired, mut caught, mut tried) = ([0, 0], 0, 0);
        for turn in 0..6 {
            let references = days.references(training);
            let hours = 4 * turn..4 * turn + 4;
            let window = |days: &mut Days| {
                let rows = days.rows(hours.clone(), of_each);
                let Column::Number(answers) = rows.columns()[1].clone() else {
                    unreachable!()
                };
                (rows, answers)
            };
            let counted = |reference: &Reference, (rows, answers): &(Rows, Vec<f64>)| {
                let mut counts = reference.counts();
                reference.count(&mut counts, rows, answers, 0);
                counts
            };
            let first = window(&mut days);
            let calibrations = [0, 1].map(|way| {
                let counts = counted(&references[way], &first);
                Calibration::new(&references[way], &counts, RATE)
            });
            let fires = |way: usize, window: &(Rows, Vec<f64>)| {
                let counts = counted(&references[way], window);
                let measured = calibrations[way].measure(&references[way], &counts);
                u32::from(measured.iter().any(Drift::is_alarm))
            };
            for _ in 0..windows / 6 {
                tried += 1;
                let window = window(&mut days);
                for (way, fired) in fired.iter_mut().enumerate() {
                    *fired += fires(way, &window);
                }
            }
            days.shift = 0.25;
            for _ in 0..windows / 12 {
                caught += fires(1, &window(&mut days));
            }
            days.shift = 0.0;
        }
        let [whole, seasonal] = fired.map(|fired| f64::from(fired) / f64::from(tried));
        let power = f64::from(caught) / f64::from(tried / 2);
        let size = 4 * of_each;
        println!(
            "window of {size} rows of four hours: fires at {seasonal:.3} where {RATE} is stated, compared with all hours at {whole:.3}; \
             at a shift of half a deviation: {power:.3}"
        );
        let error = (RATE * (1.0 - RATE) / f64::from(tried)).sqrt();
        assert!(seasonal < RATE + 4.0 * error, "window of {size}: {seasonal}");
        assert!(whole > 0.9, "window of {size}: {whole}");
        if of_each > 10 {
            assert!(power > 0.9, "window of {size}: {power}");
        }
    }
}

#[test]
fn a_season_that_training_hardly_saw_is_told_and_left_out_of_distances() {
    let mut days = Days {
        random: Random(3),
        shift: 0.0,
    };
    let training = days.rows(0..12, 200);
    let profile = Profile::learn(&training, 86_400 * 400);
    let none = (&Column::Timestamp(Vec::new()), [].as_slice());
    let profile = profile.with_seasons(Season::HourOfDay, 0, &training, none);
    let names = ["time", "a", "b", "c", "d", "kind"].map(str::to_owned).to_vec();
    let reference = Reference::new(&profile, names, String::new());
    // Half of the rows are of hours that training never saw.
    let counts = counted(&reference, &days.rows(6..18, 50));
    let measured = Calibration::new(&reference, &counts, 0.01).measure(&reference, &counts);
    let value = |field: &str, measure: &str| {
        let found = measured
            .iter()
            .find(|drift| drift.field == field && drift.measure == measure);
        found.map(|drift| (drift.value, drift.is_alarm()))
    };
    assert_eq!(value("time", "unknown_season"), Some((0.5, false)));
    assert_eq!(value("a", "ks").map(|(_, alarm)| alarm), Some(false));
    assert_eq!(
        value("kind", "unseen").map(|(_, alarm)| alarm),
        Some(true),
        "new categories are news"
    );
}

#[test]
fn a_profile_whose_seasons_do_not_add_up_does_not_fit() {
    let mut days = Days {
        random: Random(4),
        shift: 0.0,
    };
    let rows = days.rows(0..24, 3);
    let times = &rows.columns()[0];
    let profile = Profile::learn(&rows, 0).with_answers(&[1.0, 2.0]);
    let answered = Column::Timestamp(vec![Some(0), None]);
    let profile = profile.with_seasons(Season::DayOfWeek, 0, &rows, (&answered, &[1.0, 2.0]));
    let kinds = [
        FieldKind::Timestamp,
        FieldKind::Number,
        FieldKind::Number,
        FieldKind::Number,
        FieldKind::Number,
    ];
    let fields = kinds.into_iter().chain([FieldKind::Text]).enumerate();
    let schema = Schema {
        fields: fields
            .map(|(number, kind)| Field {
                name: format!("field {number}"),
                kind,
                known: Known::Call,
                nullable: true,
            })
            .collect(),
        ..Schema::default()
    };
    assert_eq!(times.len(), 72);
    assert!(profile.fits(&schema));
    let text = serde_json::to_string(&profile).unwrap();
    assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), profile);
    let spoiled = |spoil: &dyn Fn(&mut Seasons)| {
        let mut spoiled = profile.clone();
        spoil(spoiled.seasons.as_mut().unwrap());
        !spoiled.fits(&schema)
    };
    assert!(spoiled(&|seasons| seasons.field = 1), "no time");
    assert!(spoiled(&|seasons| seasons.field = 6), "beyond the fields");
    assert!(spoiled(&|seasons| drop(seasons.parts.pop())));
    assert!(spoiled(&|seasons| seasons.season = Season::Month));
    assert!(spoiled(&|seasons| drop(seasons.parts[0].fields.pop())));
    assert!(
        spoiled(&|seasons| seasons.parts[0].fields[1].bins[0] += 1),
        "more than there are"
    );
    assert!(spoiled(&|seasons| seasons.parts[0].fields[1].bins[0] = u64::MAX));
    assert!(spoiled(&|seasons| seasons.parts[0].fields[5].bins.push(0)));
    assert!(spoiled(&|seasons| seasons.parts[0].fields[5].once = u64::MAX));
    assert!(spoiled(&|seasons| seasons.parts[0].answers = vec![u64::MAX, u64::MAX]));
    assert!(spoiled(&|seasons| seasons.parts[0].answers.clear()));
}
