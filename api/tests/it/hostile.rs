//! Damaged bundles and bodies that nobody would send: refused or read, never a panic and never a loop. `fuzz/` tries the same for longer.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use ratchet_api::open_inference::request::InferRequest;
use ratchet_api::predict::body;
use ratchet_model::Bundle;
use ratchet_model::drift::{Calibration, Reference, Season};
use serde_json::{Value, json};

use crate::bundles::{TestBundle, noon_and_midnight};

/// What happens to a file on its way.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    /// Eight bytes in the place of others: an index out of range, a length, a number that is none.
    Word(prop::sample::Index, u64),
    /// A digit in the place of another: the structure is a text of JSON, and stays one.
    Digit(prop::sample::Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words = prop_oneof![
        any::<u64>(),
        Just(u64::MAX),
        Just(f64::NAN.to_bits()),
        Just(f64::INFINITY.to_bits()),
        0..8_u64
    ];
    prop_oneof![
        1 => any::<prop::sample::Index>().prop_map(Damage::Cut),
        3 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        3 => (any::<prop::sample::Index>(), words).prop_map(|(at, word)| Damage::Word(at, word)),
        6 => (any::<prop::sample::Index>(), b'0'..=b'9').prop_map(|(at, digit)| Damage::Digit(at, digit)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        match damage {
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Flip(at, mask) => {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
            Damage::Word(at, word) => {
                let at = at.index(bytes.len());
                for (place, byte) in bytes[at..].iter_mut().zip(word.to_le_bytes()) {
                    *place = byte;
                }
            }
            Damage::Digit(at, digit) => {
                let digits: Vec<usize> = (0..bytes.len())
                    .filter(|place| bytes[*place].is_ascii_digit())
                    .collect();
                if !digits.is_empty() {
                    let at = digits[at.index(digits.len())];
                    bytes[at] = *digit;
                }
            }
        }
    }
    bytes
}

/// Texts around what is meant: JSON of any shape that now and then has the names that are looked for.
fn document() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("inputs".to_owned()),
        Just("name".to_owned()),
        Just("data".to_owned()),
        Just("shape".to_owned()),
        Just("datatype".to_owned()),
        Just("parameters".to_owned()),
        Just("binary_data_size".to_owned()),
        Just("easting".to_owned()),
        Just("station".to_owned()),
        Just("called_at".to_owned()),
        "\\PC{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!("FP64")),
        Just(json!("BYTES")),
        Just(json!("1970-01-01 00:30:00")),
        name.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name.clone(), inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn bundles() -> [Bundle; 2] {
    let tree = TestBundle {
        tree: Some(true),
        ..TestBundle::new("alpha", 0.5)
    };
    [tree, TestBundle::new("alpha", 0.5)].map(|bundle| Bundle::read(&bundle.bytes()).unwrap())
}

/// A linear model, a tree, and one whose profile knows seasons.
static WHOLE: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let tree = TestBundle {
        tree: Some(true),
        ..TestBundle::new("alpha", 0.5)
    };
    let linear = TestBundle::new("alpha", 0.5);
    [linear.bytes(), tree.bytes(), noon_and_midnight(Some(Season::DayOfWeek))]
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_bundle_is_refused_or_answers(damages in vec(damage(), 1..4), kind in 0..3_usize) {
        let whole = &WHOLE[kind];
        if let Ok(bundle) = Bundle::read(&damaged(whole.clone(), &damages)) {
            let _ = bundle.check_golden_rows();
            let _ = bundle.answer(bundle.golden_rows());
            let _ = (bundle.explain(bundle.golden_rows()), bundle.memory_bytes());
            let profile = &bundle.content().profile;
            // To work thresholds out takes long, and is the same where nothing of it was damaged.
            if *profile != Bundle::read(whole).unwrap().content().profile {
                let reference = Reference::new(profile, vec![String::new(); profile.fields.len()], String::new());
                let mut counts = reference.counts();
                reference.count(&mut counts, bundle.golden_rows(), &[], 0);
                let _ = Calibration::new(&reference, &counts, 0.01).measure(&reference, &counts);
            }
        }
    }
}

#[test]
fn any_body_is_read_or_refused() {
    let bundles = bundles();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(4000));
    let bodies = (document(), vec(damage(), 0..3));
    let tried = runner.run(&bodies, |(document, damages)| {
        let content = damaged(document.to_string().into_bytes(), &damages);
        if let Ok(body::Sent::Row(row)) = body::parse(&content) {
            for bundle in &bundles {
                if let Ok(rows) = bundle.parse(&row) {
                    let _ = bundle.answer(&rows);
                }
            }
        }
        Ok(())
    });
    tried.unwrap();
}

#[test]
fn any_tensors_are_read_or_refused() {
    let bundles = bundles();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(4000));
    let bodies = (
        document(),
        vec(any::<u8>(), 0..64),
        vec(damage(), 0..3),
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    let tried = runner.run(&bodies, |(document, tail, damages, at, exact)| {
        let json = json!({"inputs": [document]}).to_string().into_bytes();
        let length = json.len();
        let content = damaged([json, tail].concat(), &damages);
        let length = if exact { length } else { at.index(content.len() + 2) };
        for length in [None, Some(length)] {
            let read = InferRequest::read(&content, length, bundles[0].schema());
            if let Ok(request) = read {
                assert!(request.records.len() <= body::ROW_LIMIT);
            }
        }
        Ok(())
    });
    tried.unwrap();
}
