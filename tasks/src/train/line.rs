//! The line along which a table is cut into rows that fit, choose and judge: time, or a hash of each row's key.
//!
//! Tables without a time are cut by hash: a row keeps its side in every version of the table, whatever is added, removed
//! or sorted, so that no later model has learnt from a row that judges it. Rows of one key stay together.

use polars::prelude::{Column, DataFrame, DataType};
use ratchet_core::plugin::TaskError;
use ratchet_model::Window;

use super::rows::{numbers, texts, timestamps};
use crate::table::column;

/// Places on the line of a hash: from 0 to this, which is not reached.
pub const PLACES: i64 = 1_000_000;

/// What a row's place on the line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A column with civil times.
    Time(&'a str),
    /// The hash of these columns.
    Hash(&'a [String]),
}

impl<'a> Line<'a> {
    /// The line of a trained model.
    pub fn of(window: &'a Window) -> Line<'a> {
        if window.key.is_empty() {
            Line::Time(&window.time)
        } else {
            Line::Hash(&window.key)
        }
    }
}

/// The place of each row: FNV-1a over the values of the key, finished by the mixer of splitmix64. Blanks around text and
/// the difference between a whole number and the same number with a fraction of 0 do not count.
pub fn places(frame: &DataFrame, place: &str, key: &[String]) -> Result<Vec<i64>, TaskError> {
    let mut hashes = vec![0xcbf2_9ce4_8422_2325_u64; frame.height()];
    for name in key {
        for (hash, value) in hashes.iter_mut().zip(key_values(column(frame, name, place)?, place)?) {
            for byte in value {
                *hash = (*hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    let scale = |hash: u64| ((u128::from(mix(hash)) * PLACES.unsigned_abs() as u128) >> 64) as i64;
    Ok(hashes.into_iter().map(scale).collect())
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A column's values as bytes that never run together: a tag, then the value.
fn key_values(values: &Column, place: &str) -> Result<Vec<Vec<u8>>, TaskError> {
    let tagged = |tag: u8, bytes: &[u8]| [&[tag], bytes].concat();
    if matches!(values.dtype(), DataType::String | DataType::Null) {
        let texts = texts(values, place)?.into_iter();
        return Ok(texts
            .map(|text| match text {
                Some(text) => [tagged(1, text.as_bytes()), vec![0]].concat(),
                None => vec![0],
            })
            .collect());
    }
    if matches!(values.dtype(), DataType::Date | DataType::Datetime(..)) {
        let times = timestamps(values, place)?.into_iter();
        return Ok(times
            .map(|time| time.map_or_else(|| vec![0], |time| tagged(3, &time.to_le_bytes())))
            .collect());
    }
    let numbers = numbers(values, place)?.into_iter();
    Ok(numbers
        .map(|number| match number {
            missing if missing.is_nan() => vec![0],
            // Minus nothing is nothing.
            number => tagged(2, &(number + 0.0).to_bits().to_le_bytes()),
        })
        .collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use polars::df;

    use super::*;

    fn of(frame: &DataFrame, key: &[&str]) -> Vec<i64> {
        let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        places(frame, "the table", &key).unwrap()
    }

    #[test]
    fn a_row_keeps_its_place_whatever_stands_around_it() {
        let frame = df!("id" => ["a", "b ", "c"], "n" => [Some(1_i64), Some(2), None]).unwrap();
        let all = of(&frame, &["id", "n"]);
        let other = df!("n" => [Some(2.0), None], "id" => ["b", "c"]).unwrap();
        assert_eq!(of(&other, &["id", "n"]), all[1..]);
        // One version of the hash for ever: a change here would mix the sides of all tables.
        assert_eq!(all, [145_668, 484_060, 736_131]);
    }

    #[test]
    fn places_spread_evenly_and_values_do_not_run_together() {
        let frame = df!("n" => (0..50_000_i64).collect::<Vec<_>>()).unwrap();
        let below = of(&frame, &["n"])
            .into_iter()
            .filter(|place| *place < PLACES / 5)
            .count();
        assert!((9_700..10_300).contains(&below), "{below}");
        let frame = df!("a" => ["ab", "a"], "b" => ["c", "bc"]).unwrap();
        let both = of(&frame, &["a", "b"]);
        assert_ne!(both[0], both[1]);
    }
}
