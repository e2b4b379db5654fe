//! What was true, by the id of the prediction.

use super::open::{Store, StoreError};

/// A truth that somebody tells.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenTruth {
    /// Id of the prediction.
    pub prediction: String,
    /// The number; 1 for yes, 0 for no; the class.
    pub truth: f64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was kept, and the log has the prediction.
    Joined,
    /// It was kept; the log has no such prediction (any more).
    Unknown,
    /// The same was told before.
    Repeated,
    /// Something else was told before, and it stays.
    Contradicted,
}

impl Store {
    /// Keeps truths: all of them, or none if any contradicts what was told before and shall not replace it. Verdicts in the same order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tell(
        &self,
        truths: &[GivenTruth],
        replace: bool,
        at: i64,
        caller: &str,
    ) -> Result<Vec<Verdict>, StoreError> {
        let mut transaction = self.begin().await?;
        // Takes the lock that puts all writers in a row, before anything is looked at.
        let mut sequence = Store::numbers(&mut transaction, "truths", truths.len() as i64).await?;
        let mut verdicts = Vec::with_capacity(truths.len());
        for given in truths {
            let before: Option<f64> = sqlx::query_scalar("SELECT truth FROM truths WHERE prediction = $1")
                .bind(&given.prediction)
                .fetch_optional(&mut *transaction)
                .await?;
            let verdict = match before {
                Some(before) if before == given.truth => Verdict::Repeated,
                Some(_) if !replace => Verdict::Contradicted,
                _ => {
                    let known = sqlx::query("SELECT sequence FROM entries WHERE id = $1 AND status = 200")
                        .bind(&given.prediction)
                        .fetch_optional(&mut *transaction)
                        .await?;
                    sqlx::query(
                        "INSERT INTO truths (prediction, sequence, truth, at, caller) VALUES ($1, $2, $3, $4, $5)
                         ON CONFLICT (prediction) DO UPDATE SET sequence = excluded.sequence, truth = excluded.truth,
                             at = excluded.at, caller = excluded.caller",
                    )
                    .bind(&given.prediction)
                    .bind(sequence)
                    .bind(given.truth)
                    .bind(at)
                    .bind(caller)
                    .execute(&mut *transaction)
                    .await?;
                    match known {
                        Some(_) => Verdict::Joined,
                        None => Verdict::Unknown,
                    }
                }
            };
            sequence += 1;
            verdicts.push(verdict);
        }
        if !verdicts.contains(&Verdict::Contradicted) {
            transaction.commit().await?;
        }
        Ok(verdicts)
    }
}
