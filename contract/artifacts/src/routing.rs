//! Which alias answers which share of a model's requests, and which only run beside.
//!
//! A share belongs to the alias and not to the version that holds it: a promotion puts another version behind the same share.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::check_name;
use crate::promotions::Replay;
use crate::{Action, Appended, Holder, PromotionEntry, PromotionError, PromotionLog};

/// The alias that answers, alone unless traffic is split.
pub const CHAMPION: &str = "champion";

/// How a model's requests are to be spread. Aliases that are not named answer nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRouting {
    /// The model.
    pub model: String,
    /// Alias and its share in percent; together 100, the champion's at least 1.
    pub shares: BTreeMap<String, u32>,
    /// Aliases whose answers are logged and never given.
    pub shadows: BTreeSet<String>,
    /// A field of the request: those with the same value in it are answered by the same alias.
    pub sticky: Option<String>,
    /// Who asks for it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The same routing with the same key is appended once.
    pub key: String,
}

impl PromotionEntry {
    /// The aliases that answer requests for `model`, the champion first: it alone unless traffic is split.
    #[must_use]
    pub fn answering(&self, model: &str) -> Vec<(&str, &Holder)> {
        let Some((alias, champion)) = self
            .table
            .get(model)
            .and_then(|aliases| aliases.get_key_value(CHAMPION))
        else {
            return Vec::new();
        };
        let mut answering = vec![(alias.as_str(), champion)];
        let others = self.table.get(model).into_iter().flatten();
        let others =
            others.filter(|(alias, holder)| *alias != CHAMPION && !holder.shadow && (1..100).contains(&holder.weight));
        // Shares add up to 100: a champion with all of it leaves nothing.
        answering.extend(
            others
                .filter(|_| champion.weight < 100)
                .map(|(alias, holder)| (alias.as_str(), holder)),
        );
        answering
    }

    /// The aliases of `model` whose answers are logged and never given.
    pub fn shadows(&self, model: &str) -> impl Iterator<Item = (&str, &Holder)> {
        let aliases = self.table.get(model).into_iter().flatten();
        aliases
            .filter(|(_, holder)| holder.shadow)
            .map(|(alias, holder)| (alias.as_str(), holder))
    }
}

impl PromotionLog {
    /// Spreads a model's requests over its aliases.
    ///
    /// # Errors
    ///
    /// [`PromotionError::Routing`] if the shares do not add up to 100, the champion has none, or an alias has no holder; and if the
    /// log is damaged or the bucket fails.
    pub async fn route(&self, routing: &NewRouting) -> Result<Appended, PromotionError> {
        check_name("model", &routing.model)?;
        let same = |entry: &PromotionEntry| routing.made(entry);
        self.append(&routing.key, same, |replay| routing.decide(replay)).await
    }
}

impl NewRouting {
    /// Whether an entry is this routing.
    fn made(&self, entry: &PromotionEntry) -> bool {
        let named = |entry: &PromotionEntry| {
            let shares = entry.answering(&self.model).into_iter();
            let shares: BTreeMap<String, u32> = shares
                .map(|(alias, holder)| (alias.to_owned(), holder.weight))
                .collect();
            let shadows: BTreeSet<String> = entry.shadows(&self.model).map(|(alias, _)| alias.to_owned()).collect();
            (shares, shadows)
        };
        entry.action == Action::Route
            && entry.model == self.model
            && entry.sticky.get(&self.model) == self.sticky.as_ref()
            && named(entry) == (self.shares.clone(), self.shadows.clone())
    }

    fn decide(&self, replay: &Replay) -> Result<PromotionEntry, PromotionError> {
        let wrong = |problem: String| PromotionError::Routing {
            model: self.model.clone(),
            problem,
        };
        let champion = replay.holder(&self.model, CHAMPION).cloned();
        let champion = champion.ok_or_else(|| wrong("it has no champion; promote a version first".to_owned()))?;
        if self.shares.values().sum::<u32>() != 100 || self.shares.values().any(|share| *share == 0) {
            return Err(wrong(
                "the shares are whole percents from 1 that add up to 100, such as champion=90 challenger=10".to_owned(),
            ));
        }
        if !self.shares.contains_key(CHAMPION) {
            return Err(wrong(
                "the champion needs a share; it answers where no other can".to_owned(),
            ));
        }
        for alias in self.shares.keys().chain(&self.shadows) {
            if replay.holder(&self.model, alias).is_none() {
                return Err(wrong(format!(
                    "no version holds its alias '{alias}'; promote one with --alias {alias} first"
                )));
            }
        }
        if let Some(alias) = self.shadows.iter().find(|alias| self.shares.contains_key(*alias)) {
            return Err(wrong(format!(
                "'{alias}' either answers a share or runs as a shadow, not both"
            )));
        }
        let mut entry = replay.next(Action::Route, &self.model, CHAMPION, champion);
        for (alias, holder) in entry.table.get_mut(&self.model).into_iter().flatten() {
            holder.weight = self.shares.get(alias).copied().unwrap_or(100);
            holder.shadow = self.shadows.contains(alias);
        }
        match &self.sticky {
            Some(field) => entry.sticky.insert(self.model.clone(), field.clone()),
            None => entry.sticky.remove(&self.model),
        };
        entry.actor.clone_from(&self.actor);
        entry.reason.clone_from(&self.reason);
        entry.key.clone_from(&self.key);
        Ok(entry)
    }
}
