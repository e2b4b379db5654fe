//! Which alias answers a request where traffic is split.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::registry::{Model, Served, Snapshot};

/// Requests with the same text in this header are answered by the same alias for as long as the shares stay.
pub const ROUTE_KEY: HeaderName = HeaderName::from_static("ratchet-route-key");

/// Who answers a request.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The version that answers.
    pub served: Arc<Served>,
    /// Those whose answers are logged beside it.
    pub shadows: Vec<Arc<Served>>,
    /// What a field of the row has still a say in.
    undecided: Option<Box<Undecided>>,
}

/// A choice by chance that a field of the row may change.
#[derive(Clone, Debug)]
struct Undecided {
    name: String,
    model: Model,
    field: String,
}

impl Chosen {
    /// A version that nobody else shares requests with.
    pub fn alone(served: Arc<Served>) -> Chosen {
        Chosen {
            served,
            shadows: Vec::new(),
            undecided: None,
        }
    }

    /// The version that a request names, whatever its fields say.
    #[must_use]
    pub fn named(self, served: Arc<Served>) -> Chosen {
        Chosen {
            served,
            undecided: None,
            ..self
        }
    }

    /// Decides by the field that requests stick to, if this row has it. True if another version answers now.
    pub fn decide(&mut self, row: Option<&Map<String, Value>>) -> bool {
        let Some(undecided) = self.undecided.take() else {
            return false;
        };
        let key = row.and_then(|row| row.get(&undecided.field)).and_then(key);
        let again = key.and_then(|key| undecided.model.choose(|| ticket(&undecided.name, key.as_bytes())));
        let Some(again) = again else { return false };
        let is_other = !Arc::ptr_eq(&again.served, &self.served);
        *self = again;
        is_other
    }
}

impl Model {
    /// Who answers a request with these headers; nobody while the champion does not serve.
    pub fn chosen(&self, name: &str, headers: &HeaderMap) -> Option<Chosen> {
        let key = headers.get(ROUTE_KEY);
        let chosen = self.choose(|| match key {
            Some(key) => ticket(name, key.as_bytes()),
            None => by_chance(),
        })?;
        let field = self.sticky.as_ref().filter(|_| key.is_none() && self.share() < 100);
        Some(Chosen {
            undecided: field.map(|field| {
                Box::new(Undecided {
                    name: name.to_owned(),
                    model: self.clone(),
                    field: field.clone(),
                })
            }),
            ..chosen
        })
    }

    /// Who answers a request that has this ticket, a number below 100.
    fn choose(&self, ticket: impl FnOnce() -> u32) -> Option<Chosen> {
        let champion = self.served.clone()?;
        if self.beside.is_empty() {
            return Some(Chosen::alone(champion));
        }
        let mut left = ticket();
        let taken = self.beside.iter().find(|beside| {
            let share = beside.share.unwrap_or(0);
            let taken = left < share;
            left = left.saturating_sub(share);
            taken
        });
        let shadows = self.beside.iter().filter(|beside| beside.share.is_none());
        Some(Chosen {
            shadows: shadows.filter_map(|beside| beside.served.clone()).collect(),
            ..Chosen::alone(taken.and_then(|beside| beside.served.clone()).unwrap_or(champion))
        })
    }
}

impl Snapshot {
    /// Who answers a request for the model whose champion this is.
    pub fn choose(&self, champion: Arc<Served>, headers: &HeaderMap) -> Chosen {
        let model = self.models.get(&champion.name);
        let chosen = model.and_then(|model| model.chosen(&champion.name, headers));
        chosen.unwrap_or_else(|| Chosen::alone(champion))
    }
}

/// A number below 100: the same for the same key and model.
fn ticket(model: &str, key: &[u8]) -> u32 {
    (mixed(model.bytes().chain([0]).chain(key.iter().copied())) % 100) as u32
}

/// Any number below 100.
fn by_chance() -> u32 {
    (mixed(Uuid::now_v7().into_bytes().into_iter()) % 100) as u32
}

/// A value as the header would say it; `7` and `7.0` are one. None for what is missing.
fn key(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 => format!("{float:.0}"),
            _ => number.to_string(),
        }),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// FNV-1a with a last stir: its low bits alone follow those of the last letter. Replicas have to agree on it, so it is written down here.
fn mixed(bytes: impl Iterator<Item = u8>) -> u64 {
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_has_one_ticket_and_keys_spread_evenly() {
        assert_eq!(ticket("m", b"courier-7"), ticket("m", b"courier-7"));
        let below_ten = |tickets: &mut dyn Iterator<Item = u32>| tickets.filter(|ticket| *ticket < 10).count();
        // Five standard deviations around a thousand of ten thousand.
        let by_key = below_ten(&mut (0..10_000).map(|number| ticket("m", format!("courier-{number}").as_bytes())));
        assert!((850..1150).contains(&by_key), "{by_key}");
        let by_chance = below_ten(&mut (0..10_000).map(|_| by_chance()));
        assert!((850..1150).contains(&by_chance), "{by_chance}");
    }

    #[test]
    fn a_field_is_a_key_as_the_header_says_it() {
        let texts = [json!("7"), json!(7), json!(7.0), json!(true), json!(7.5)].map(|value| key(&value));
        let expected = ["7", "7", "7", "true", "7.5"].map(|text| Some(text.to_owned()));
        assert_eq!(texts, expected);
        assert_eq!(
            [json!(null), json!([1]), json!({})].map(|value| key(&value)),
            [None, None, None]
        );
    }
}
