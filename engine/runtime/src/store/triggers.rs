//! What triggers saw, and the runs that follow.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ratchet_core::spec::Trigger;
use sqlx::any::AnyRow;
use sqlx::{Any, Row};

use super::open::{Store, query};
use super::read::{damaged, instant, json, number, optional, optional_instant, text};
use super::transaction::Transaction as Sql;
use super::write::{insert_run, to_json};
use crate::beginning::Beginning;
use crate::error::StoreError;
use crate::record::NewRun;
use crate::trigger::{NewEvent, SelfPaused, TriggerEvent, TriggerOutcome, TriggerRecord, Triggered};

impl Store {
    /// How a trigger stands; none if it never looked.
    pub(crate) async fn trigger(&self, dag: &str, trigger: &Trigger) -> Result<Option<TriggerRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM triggers WHERE dag = $1 AND trigger_key = $2")
            .bind(dag)
            .bind(trigger.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(query("read a trigger"))?;
        row.as_ref().map(trigger_record).transpose()
    }

    /// The triggers of a DAG that looked so far, also those that it no longer has.
    pub async fn triggers(&self, dag: &str) -> Result<Vec<TriggerRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM triggers WHERE dag = $1 ORDER BY trigger_key")
            .bind(dag)
            .fetch_all(&self.pool)
            .await
            .map_err(query("read the triggers of a DAG"))?;
        rows.iter().map(trigger_record).collect()
    }

    /// What the triggers of a DAG saw, newest first.
    pub async fn trigger_events(&self, dag: &str, limit: u32) -> Result<Vec<TriggerEvent>, StoreError> {
        let rows = sqlx::query("SELECT * FROM trigger_events WHERE dag = $1 ORDER BY at DESC, event DESC LIMIT $2")
            .bind(dag)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(query("read what triggers saw"))?;
        rows.iter().map(trigger_event).collect()
    }

    /// What waits for a run of a DAG, oldest first; nothing of triggers that paused themselves.
    pub(crate) async fn waiting_events(&self, dag: &str) -> Result<Vec<TriggerEvent>, StoreError> {
        let rows = sqlx::query(WAITING)
            .bind(dag)
            .fetch_all(&self.pool)
            .await
            .map_err(query("read what waits for a run"))?;
        rows.iter().map(trigger_event).collect()
    }

    /// Remembers the first look of a trigger, with what it found. False if it had looked before.
    pub(crate) async fn begin_trigger(
        &self,
        dag: &str,
        trigger: &Trigger,
        seen: &str,
        events: &[NewEvent],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let failed = query("remember a trigger");
        let mut transaction = self.begin("remember a trigger").await?;
        let begun = sqlx::query(
            "INSERT INTO triggers (dag, trigger_key, seen, number, first_seen_at, fruitless) \
             VALUES ($1, $2, $3, 0, $4, 0) ON CONFLICT (dag, trigger_key) DO NOTHING",
        )
        .bind(dag)
        .bind(trigger.to_string())
        .bind(seen)
        .bind(now.to_string())
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        let begun = begun.rows_affected() == 1;
        if begun {
            add_events(&mut transaction, dag, &trigger.to_string(), events, now).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(begun)
    }

    /// Remembers a change with what follows from it, unless somebody else was faster: then false.
    pub(crate) async fn trigger_saw(
        &self,
        dag: &str,
        known: &TriggerRecord,
        seen: &str,
        events: &[NewEvent],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let failed = query("remember what a trigger saw");
        let mut transaction = self.begin("remember what a trigger saw").await?;
        let taken = sqlx::query(
            "UPDATE triggers SET seen = $3, number = number + 1 WHERE dag = $1 AND trigger_key = $2 AND number = $4",
        )
        .bind(dag)
        .bind(&known.trigger)
        .bind(seen)
        .bind(known.number)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        let taken = taken.rows_affected() == 1;
        if taken {
            add_events(&mut transaction, dag, &known.trigger, events, now).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(taken)
    }

    /// Remembers events whose names are the same for everybody, and how far was read. Returns how many are new.
    pub(crate) async fn trigger_found(
        &self,
        dag: &str,
        known: &TriggerRecord,
        seen: &str,
        events: &[NewEvent],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let failed = query("remember what a trigger found");
        let mut transaction = self.begin("remember what a trigger found").await?;
        sqlx::query(
            "UPDATE triggers SET seen = $3, number = number + 1 WHERE dag = $1 AND trigger_key = $2 AND number = $4",
        )
        .bind(dag)
        .bind(&known.trigger)
        .bind(seen)
        .bind(known.number)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        // Also if somebody else read on meanwhile: what both found is written once.
        let new = add_events(&mut transaction, dag, &known.trigger, events, now).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(new)
    }

    /// Drops what waits of a trigger and is about anything else than `subject`.
    pub(crate) async fn drop_passed_events(&self, dag: &str, trigger: &str, subject: &str) -> Result<(), StoreError> {
        let failed = query("drop what has passed");
        let mut transaction = self.begin("drop what has passed").await?;
        sqlx::query(
            "UPDATE trigger_events SET outcome = 'dropped' \
             WHERE dag = $1 AND trigger_key = $2 AND outcome = 'waiting' AND subject <> $3",
        )
        .bind(dag)
        .bind(trigger)
        .bind(subject)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Makes one run of all that waits, if the cooldown and the active runs let it.
    pub(crate) async fn start_triggered(
        &self,
        template: &NewRun,
        cooldown: SignedDuration,
        now: Timestamp,
    ) -> Result<Triggered, StoreError> {
        let failed = query("start a triggered run");
        let dag = &template.dag.name;
        let mut transaction = self.begin("start a triggered run").await?;
        // Whoever raises the version decides; the next one sees what was started.
        sqlx::query(
            "INSERT INTO triggered_dags (dag, version) VALUES ($1, 1) \
             ON CONFLICT (dag) DO UPDATE SET version = triggered_dags.version + 1",
        )
        .bind(dag)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        let rows = sqlx::query(WAITING)
            .bind(dag)
            .fetch_all(&mut *transaction)
            .await
            .map_err(&failed)?;
        // A trigger that was taken out of the file, or reads otherwise now, starts nothing any more.
        let keys: Vec<String> = template.dag.triggers.iter().map(ToString::to_string).collect();
        let mut current = Vec::new();
        for row in rows {
            if keys.contains(&text(&row, "trigger event", "trigger_key")?) {
                current.push(row);
            } else {
                close_event(&mut transaction, dag, &row, TriggerOutcome::Dropped, None).await?;
            }
        }
        let rows = current;
        if rows.is_empty() {
            transaction.commit().await.map_err(&failed)?;
            return Ok(Triggered::Nothing);
        }
        let paused: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM pauses WHERE dag = $1")
            .bind(dag)
            .fetch_one(&mut *transaction)
            .await
            .map_err(&failed)?;
        if paused > 0 {
            return Ok(Triggered::Nothing);
        }
        let last: Option<String> = sqlx::query_scalar(
            "SELECT created_at FROM runs WHERE dag = $1 AND started_by = 'event' ORDER BY id DESC LIMIT 1",
        )
        .bind(dag)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(&failed)?;
        if let Some(last) = last {
            let last: Timestamp = last.parse().map_err(|error| damaged("run", "created_at", error))?;
            let until = last.checked_add(cooldown).unwrap_or(Timestamp::MAX);
            // Without one the clocks of two machines need not agree.
            if !cooldown.is_zero() && now < until {
                return Ok(Triggered::CoolsDown { until });
            }
        }
        let active: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM runs WHERE dag = $1 AND status = 'running' AND started_by <> 'backfill'",
        )
        .bind(dag)
        .fetch_one(&mut *transaction)
        .await
        .map_err(&failed)?;
        if active >= i64::from(template.dag.max_active_runs.max(1)) {
            return Ok(Triggered::Busy);
        }
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        let mut triggers: Vec<String> = Vec::new();
        for row in &rows {
            // The newest word counts.
            given.extend(json::<BTreeMap<String, String>>(row, "trigger event", "params")?);
            let trigger = text(row, "trigger event", "trigger_key")?;
            if !triggers.contains(&trigger) {
                triggers.push(trigger);
            }
        }
        let (outcome, run) = match template.dag.bind(&given) {
            Ok(params) => {
                let new = NewRun {
                    params,
                    actor: triggers.join(", "),
                    ..template.clone()
                };
                let (run, _) = insert_run(&mut transaction, &new, &Beginning::default()).await?;
                sqlx::query("INSERT INTO triggered_runs (run_id, dag, judged) VALUES ($1, $2, 0)")
                    .bind(&run)
                    .bind(dag)
                    .execute(&mut *transaction)
                    .await
                    .map_err(&failed)?;
                (Triggered::Started { run: run.clone() }, Some(run))
            }
            // The DAG was edited since. Held back it would wait for ever.
            Err(problems) => {
                let reason = problems.join("; ");
                (Triggered::Dropped { reason }, None)
            }
        };
        let closed = run
            .as_ref()
            .map_or(TriggerOutcome::Dropped, |_| TriggerOutcome::Started);
        for row in &rows {
            close_event(&mut transaction, dag, row, closed, run.as_deref()).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(outcome)
    }

    /// Triggered runs that ended and that nobody judged yet, oldest first.
    pub(crate) async fn unjudged_runs(&self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT triggered_runs.run_id FROM triggered_runs JOIN runs ON runs.id = triggered_runs.run_id \
             WHERE triggered_runs.judged = 0 AND runs.status <> 'running' ORDER BY triggered_runs.run_id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(query("find triggered runs that ended"))
    }

    /// Notes once whether a run gave a better model; none says nothing. Returns the triggers that had `enough` now.
    pub(crate) async fn judge(
        &self,
        run: &str,
        better: Option<bool>,
        enough: u32,
    ) -> Result<Vec<SelfPaused>, StoreError> {
        let failed = query("judge a triggered run");
        let mut transaction = self.begin("judge a triggered run").await?;
        let dag: Option<String> =
            sqlx::query_scalar("UPDATE triggered_runs SET judged = 1 WHERE run_id = $1 AND judged = 0 RETURNING dag")
                .bind(run)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(&failed)?;
        let (Some(dag), Some(better)) = (dag, better) else {
            transaction.commit().await.map_err(&failed)?;
            return Ok(Vec::new());
        };
        let triggers: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT trigger_key FROM trigger_events WHERE run_id = $1 ORDER BY trigger_key",
        )
        .bind(run)
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
        let mut paused = Vec::new();
        for trigger in triggers {
            let fruitless: Option<i64> = sqlx::query_scalar(
                "UPDATE triggers SET fruitless = CASE WHEN $3 = 1 THEN 0 ELSE fruitless + 1 END \
                 WHERE dag = $1 AND trigger_key = $2 AND paused_at IS NULL RETURNING fruitless",
            )
            .bind(&dag)
            .bind(&trigger)
            .bind(i64::from(better))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(&failed)?;
            if fruitless.is_none_or(|count| count < i64::from(enough)) {
                continue;
            }
            let reason = format!("{enough} retrains in a row gave no better model");
            sqlx::query("UPDATE triggers SET paused_at = $3, paused_reason = $4 WHERE dag = $1 AND trigger_key = $2")
                .bind(&dag)
                .bind(&trigger)
                .bind(Timestamp::now().to_string())
                .bind(&reason)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
            paused.push(SelfPaused {
                dag: dag.clone(),
                trigger,
                reason,
                run: run.to_owned(),
            });
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(paused)
    }
}

/// Events of a DAG that wait, of triggers that did not pause themselves.
const WAITING: &str = "SELECT trigger_events.* FROM trigger_events JOIN triggers ON triggers.dag = trigger_events.dag \
                       AND triggers.trigger_key = trigger_events.trigger_key \
                       WHERE trigger_events.dag = $1 AND trigger_events.outcome = 'waiting' \
                       AND triggers.paused_at IS NULL ORDER BY trigger_events.at, trigger_events.event";

async fn close_event(
    transaction: &mut Sql<'_, Any>,
    dag: &str,
    row: &AnyRow,
    outcome: TriggerOutcome,
    run: Option<&str>,
) -> Result<(), StoreError> {
    let what = "trigger event";
    sqlx::query(
        "UPDATE trigger_events SET outcome = $4, run_id = $5 WHERE dag = $1 AND trigger_key = $2 AND event = $3",
    )
    .bind(dag)
    .bind(text(row, what, "trigger_key")?)
    .bind(text(row, what, "event")?)
    .bind(outcome.name())
    .bind(run)
    .execute(&mut **transaction)
    .await
    .map_err(query("close what a trigger saw"))?;
    Ok(())
}

async fn add_events(
    transaction: &mut Sql<'_, Any>,
    dag: &str,
    trigger: &str,
    events: &[NewEvent],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut new = 0;
    for event in events {
        let added = sqlx::query(
            "INSERT INTO trigger_events (dag, trigger_key, event, at, what, subject, params, outcome) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting') ON CONFLICT (dag, trigger_key, event) DO NOTHING",
        )
        .bind(dag)
        .bind(trigger)
        .bind(&event.event)
        .bind(now.to_string())
        .bind(&event.what)
        .bind(&event.subject)
        .bind(to_json(&event.params)?)
        .execute(&mut **transaction)
        .await
        .map_err(query("remember what a trigger saw"))?;
        new += added.rows_affected();
    }
    Ok(new)
}

fn trigger_record(row: &AnyRow) -> Result<TriggerRecord, StoreError> {
    let what = "trigger";
    Ok(TriggerRecord {
        trigger: text(row, what, "trigger_key")?,
        first_seen_at: instant(row, what, "first_seen_at")?,
        fruitless: number(row, what, "fruitless")?,
        paused_at: optional_instant(row, what, "paused_at")?,
        paused_reason: optional(row, what, "paused_reason")?,
        seen: text(row, what, "seen")?,
        number: row.try_get("number").map_err(|error| damaged(what, "number", error))?,
    })
}

fn trigger_event(row: &AnyRow) -> Result<TriggerEvent, StoreError> {
    let what = "trigger event";
    let outcome = text(row, what, "outcome")?;
    Ok(TriggerEvent {
        trigger: text(row, what, "trigger_key")?,
        at: instant(row, what, "at")?,
        what: text(row, what, "what")?,
        outcome: TriggerOutcome::from_name(&outcome).ok_or_else(|| damaged(what, "outcome", &outcome))?,
        run: optional(row, what, "run_id")?,
    })
}
