//! Which alias answers a request where traffic is split.

use axum::http::{HeaderMap, HeaderName};
use uuid::Uuid;

/// Requests with the same text in this header are answered by the same alias for as long as the shares stay.
pub const ROUTE_KEY: HeaderName = HeaderName::from_static("ratchet-route-key");

/// A number below 100 for a request: the same for the same key and model, by chance without a key.
pub fn ticket(model: &str, headers: &HeaderMap) -> u32 {
    let hash = match headers.get(ROUTE_KEY) {
        Some(key) => mixed(model.bytes().chain([0]).chain(key.as_bytes().iter().copied())),
        None => mixed(Uuid::now_v7().into_bytes().into_iter()),
    };
    (hash % 100) as u32
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
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn keyed(key: &str) -> HeaderMap {
        HeaderMap::from_iter([(ROUTE_KEY, key.parse().unwrap())])
    }

    #[test]
    fn a_key_has_one_ticket_and_keys_spread_evenly() {
        assert_eq!(ticket("m", &keyed("courier-7")), ticket("m", &keyed("courier-7")));
        let below_ten = |tickets: &mut dyn Iterator<Item = u32>| tickets.filter(|ticket| *ticket < 10).count();
        // Five standard deviations around a thousand of ten thousand.
        let by_key = below_ten(&mut (0..10_000).map(|number| ticket("m", &keyed(&format!("courier-{number}")))));
        assert!((850..1150).contains(&by_key), "{by_key}");
        let by_chance = below_ten(&mut (0..10_000).map(|_| ticket("m", &HeaderMap::new())));
        assert!((850..1150).contains(&by_chance), "{by_chance}");
    }
}
