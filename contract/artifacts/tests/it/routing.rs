//! How requests are spread over the aliases of a model.

use ratchet_artifacts::{Expected, NewPromotion, NewRouting, PromotionEntry, PromotionError, PromotionLog};

use crate::support::{memory, promotion, register_models};

#[tokio::test]
async fn requests_are_spread_over_aliases_and_a_promotion_keeps_the_share() {
    let bucket = memory();
    let log = PromotionLog::new(bucket.clone());
    let versions = register_models(&bucket, 4).await;
    let to = |alias: &str, version: usize| NewPromotion {
        alias: alias.to_owned(),
        ..promotion(&versions[version - 1], Expected::Any)
    };
    for (version, alias) in [(1, "champion"), (2, "challenger"), (3, "canary")] {
        assert!(log.promote(to(alias, version)).await.unwrap().new);
    }
    let routing = |shares: &[(&str, u32)], shadows: &[&str]| NewRouting {
        model: "m".to_owned(),
        shares: shares
            .iter()
            .map(|(alias, share)| ((*alias).to_owned(), *share))
            .collect(),
        shadows: shadows.iter().map(|alias| (*alias).to_owned()).collect(),
        sticky: None,
        actor: "ada".to_owned(),
        reason: "try it".to_owned(),
        key: format!("{shares:?} {shadows:?}"),
    };
    for (shares, shadows, said) in [
        (&[("champion", 90)][..], &[][..], "add up to 100"),
        (&[("champion", 100), ("challenger", 0)], &[], "from 1"),
        (&[("challenger", 100)], &[], "the champion needs a share"),
        (&[("champion", 90), ("nobody", 10)], &[], "'nobody'"),
        (&[("champion", 90), ("challenger", 10)], &["challenger"], "not both"),
    ] {
        let refused = log.route(&routing(shares, shadows)).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    let given = routing(&[("champion", 90), ("challenger", 10)], &["canary"]);
    let entry = log.route(&given).await.unwrap().entry;
    assert!(!log.route(&given).await.unwrap().new, "the same key is the same entry");
    for other in [
        NewRouting {
            key: given.key.clone(),
            ..routing(&[("champion", 80), ("challenger", 20)], &["canary"])
        },
        NewRouting {
            sticky: Some("courier".to_owned()),
            ..given.clone()
        },
    ] {
        let refused = log.route(&other).await.unwrap_err();
        assert!(matches!(refused, PromotionError::KeyTaken { .. }), "{refused}");
    }
    let spread = |entry: &PromotionEntry| {
        let answering = entry.answering("m").into_iter();
        answering
            .map(|(alias, holder)| (alias.to_owned(), holder.version, holder.weight))
            .collect::<Vec<_>>()
    };
    let expected = |champion| vec![("champion".to_owned(), champion, 90), ("challenger".to_owned(), 2, 10)];
    assert_eq!(spread(&entry), expected(1));
    assert_eq!(
        entry.shadows("m").map(|(alias, _)| alias).collect::<Vec<_>>(),
        ["canary"]
    );
    let promoted = log.promote(to("champion", 4)).await.unwrap().entry;
    assert_eq!(spread(&promoted), expected(4));
    let back = log.rollback("m", "champion", "ada", "no", "back").await.unwrap().entry;
    assert_eq!(spread(&back), expected(1), "a rollback passes routings over");
    assert!(back.sticky.is_empty());
    let sticky = NewRouting {
        sticky: Some("courier".to_owned()),
        key: "sticky".to_owned(),
        ..given
    };
    log.route(&sticky).await.unwrap();
    let next = NewPromotion {
        key: "next".to_owned(),
        ..to("challenger", 3)
    };
    let promoted = log.promote(next).await.unwrap().entry;
    assert_eq!(promoted.sticky["m"], "courier", "a promotion keeps the field");
    let whole = log.route(&routing(&[("champion", 100)], &[])).await.unwrap().entry;
    assert_eq!(whole.answering("m").len(), 1);
    assert_eq!(whole.shadows("m").count(), 0);
    assert!(whole.sticky.is_empty(), "a routing without a field ends it");
}
