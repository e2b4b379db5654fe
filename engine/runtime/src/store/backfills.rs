//! Backfills and their ticks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_core::state::RunStatus;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::open::{Store, query};
use super::read::{instant, json, number, optional, optional_instant, text};
use super::write::{insert_run, to_json};
use crate::backfill::{Advanced, BackfillDate, BackfillRecord, DatePlan, NewBackfill, RequestKey};
use crate::beginning::Beginning;
use crate::error::StoreError;
use crate::record::NewRun;

impl Store {
    /// The runs of a DAG by logical date, within two of them: id and status, oldest run first.
    pub(crate) async fn runs_between(
        &self,
        dag: &str,
        first: Timestamp,
        last: Timestamp,
    ) -> Result<BTreeMap<Timestamp, Vec<(String, RunStatus)>>, StoreError> {
        // The text of an instant sorts as the instant does, but for fractions of a second, which ticks do not have.
        let rows = sqlx::query(
            "SELECT id, status, logical_date FROM runs WHERE dag = $1 AND logical_date >= $2 AND logical_date <= $3 \
             ORDER BY logical_date, id",
        )
        .bind(dag)
        .bind(first.to_string())
        .bind(last.to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(query("find the runs of a range"))?;
        let mut runs: BTreeMap<Timestamp, Vec<(String, RunStatus)>> = BTreeMap::new();
        for row in &rows {
            let status = status(row, "status")?.unwrap_or(RunStatus::Running);
            let at = instant(row, "run", "logical_date")?;
            runs.entry(at).or_default().push((text(row, "run", "id")?, status));
        }
        Ok(runs)
    }

    /// Records a backfill with its ticks. The same key is the same backfill; none if it stands for another request.
    pub(crate) async fn create_backfill(
        &self,
        new: &NewBackfill,
        dates: &[BackfillDate],
        key: Option<&RequestKey>,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let failed = query("record a backfill");
        let id = Uuid::now_v7().to_string();
        let mut transaction = self.begin("record a backfill").await?;
        let created = sqlx::query(
            "INSERT INTO backfills (id, dag, from_date, to_date, missing_only, max_active, params, actor, created_at, \
             dag_text, file_name, version, request_key, request) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13) ON CONFLICT (request_key) DO NOTHING",
        )
        .bind(&id)
        .bind(&new.dag.name)
        .bind(new.from.to_string())
        .bind(new.to.to_string())
        .bind(i64::from(new.missing_only))
        .bind(i64::from(new.max_active.max(1)))
        .bind(to_json(&new.params)?)
        .bind(&new.actor)
        .bind(now.to_string())
        .bind(&new.dag.text)
        .bind(&new.dag.file_name)
        .bind(key.map(|key| key.key.as_str()))
        .bind(key.map(|key| key.request.as_str()))
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        if created.rows_affected() == 0 {
            return sqlx::query_scalar("SELECT id FROM backfills WHERE request_key = $1 AND request = $2")
                .bind(key.map(|key| key.key.as_str()))
                .bind(key.map(|key| key.request.as_str()))
                .fetch_optional(&mut *transaction)
                .await
                .map_err(&failed);
        }
        for date in dates {
            sqlx::query(
                "INSERT INTO backfill_dates (backfill_id, logical_date, interval_start, plan, found) \
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(&id)
            .bind(date.logical_date.to_string())
            .bind(date.interval_start.to_string())
            .bind(date.plan.name())
            .bind(&date.found)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(Some(id))
    }

    /// Makes the next runs of a backfill.
    pub(crate) async fn advance_backfill(
        &self,
        id: &str,
        template: &NewRun,
        reserved: bool,
    ) -> Result<Advanced, StoreError> {
        let failed = query("go on with a backfill");
        let mut transaction = self.begin("go on with a backfill").await?;
        // Whoever holds the row counts and starts; the next one counts what was started.
        let held: Option<i64> = sqlx::query_scalar(
            "UPDATE backfills SET version = version + 1 WHERE id = $1 AND finished_at IS NULL RETURNING max_active",
        )
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(&failed)?;
        let mut advanced = Advanced {
            started: Vec::new(),
            finished: true,
        };
        let Some(most) = held else { return Ok(advanced) };
        let mut active: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM backfill_dates JOIN runs ON runs.id = backfill_dates.run_id \
             WHERE backfill_dates.backfill_id = $1 AND runs.status = 'running'",
        )
        .bind(id)
        .fetch_one(&mut *transaction)
        .await
        .map_err(&failed)?;
        let open = sqlx::query(
            "SELECT * FROM backfill_dates WHERE backfill_id = $1 AND run_id IS NULL AND plan <> 'keep' \
             ORDER BY logical_date LIMIT $2",
        )
        .bind(id)
        .bind((most - active).max(0) + 1)
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
        let mut left = open.len();
        for row in &open {
            if active >= most {
                break;
            }
            let logical_date = instant(row, "backfill", "logical_date")?;
            let new = NewRun {
                logical_date,
                interval_start: instant(row, "backfill", "interval_start")?,
                ..template.clone()
            };
            let beginning = Beginning {
                retry_of: optional(row, "backfill", "found")?,
                reserved,
                ..Beginning::default()
            };
            // The schedule or another backfill may have been faster: then that run stands for the tick.
            let (run, made) = insert_run(&mut transaction, &new, &beginning).await?;
            sqlx::query("UPDATE backfill_dates SET run_id = $3 WHERE backfill_id = $1 AND logical_date = $2")
                .bind(id)
                .bind(logical_date.to_string())
                .bind(&run)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
            left -= 1;
            if made {
                active += 1;
                advanced.started.push(run);
            }
        }
        advanced.finished = left == 0 && active == 0;
        if advanced.finished {
            sqlx::query("UPDATE backfills SET finished_at = $2 WHERE id = $1")
                .bind(id)
                .bind(Timestamp::now().to_string())
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(advanced)
    }

    /// Starts no more runs of a backfill. False if it had ended.
    pub(crate) async fn stop_backfill(&self, id: &str, actor: &str) -> Result<bool, StoreError> {
        let failed = query("stop a backfill");
        let mut transaction = self.begin("stop a backfill").await?;
        let stopped = sqlx::query(
            "UPDATE backfills SET version = version + 1, finished_at = $2, stopped_by = $3 \
             WHERE id = $1 AND finished_at IS NULL",
        )
        .bind(id)
        .bind(Timestamp::now().to_string())
        .bind(actor)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(stopped.rows_affected() == 1)
    }

    /// Ids of the backfills that have not ended, oldest first.
    pub async fn unfinished_backfills(&self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("SELECT id FROM backfills WHERE finished_at IS NULL ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(query("find backfills that have not ended"))
    }

    /// The newest backfills, newest first; of one DAG, if one is named.
    pub async fn backfills(&self, dag: Option<&str>, limit: u32) -> Result<Vec<BackfillRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM backfills WHERE $1 IS NULL OR dag = $1 ORDER BY id DESC LIMIT $2")
            .bind(dag)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(query("list backfills"))?;
        rows.iter().map(record).collect()
    }

    /// One backfill.
    pub async fn backfill(&self, id: &str) -> Result<Option<BackfillRecord>, StoreError> {
        Ok(self.backfill_with_text(id).await?.map(|(record, ..)| record))
    }

    /// The same with the text and the file name of its DAG.
    pub(crate) async fn backfill_with_text(
        &self,
        id: &str,
    ) -> Result<Option<(BackfillRecord, String, String)>, StoreError> {
        let row = sqlx::query("SELECT * FROM backfills WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(query("read a backfill"))?;
        row.map(|row| {
            let what = "backfill";
            Ok((
                record(&row)?,
                text(&row, what, "dag_text")?,
                text(&row, what, "file_name")?,
            ))
        })
        .transpose()
    }

    /// The ticks of a backfill, oldest first, with what came of them.
    pub async fn backfill_dates(&self, id: &str) -> Result<Vec<BackfillDate>, StoreError> {
        let rows = sqlx::query(
            "SELECT backfill_dates.*, runs.status AS status, former.status AS found_status FROM backfill_dates \
             LEFT JOIN runs ON runs.id = backfill_dates.run_id \
             LEFT JOIN runs AS former ON former.id = backfill_dates.found \
             WHERE backfill_dates.backfill_id = $1 ORDER BY backfill_dates.logical_date",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await
        .map_err(query("read the ticks of a backfill"))?;
        rows.iter().map(date).collect()
    }
}

fn record(row: &AnyRow) -> Result<BackfillRecord, StoreError> {
    let what = "backfill";
    let missing_only: i64 = number(row, what, "missing_only")?;
    Ok(BackfillRecord {
        id: text(row, what, "id")?,
        dag: text(row, what, "dag")?,
        from: instant(row, what, "from_date")?,
        to: instant(row, what, "to_date")?,
        missing_only: missing_only != 0,
        max_active: number(row, what, "max_active")?,
        params: json(row, what, "params")?,
        actor: text(row, what, "actor")?,
        created_at: instant(row, what, "created_at")?,
        finished_at: optional_instant(row, what, "finished_at")?,
        stopped_by: optional(row, what, "stopped_by")?,
    })
}

fn date(row: &AnyRow) -> Result<BackfillDate, StoreError> {
    let what = "backfill";
    let plan = text(row, what, "plan")?;
    Ok(BackfillDate {
        logical_date: instant(row, what, "logical_date")?,
        interval_start: instant(row, what, "interval_start")?,
        plan: DatePlan::from_name(&plan).ok_or_else(|| super::read::damaged(what, "plan", &plan))?,
        found: optional(row, what, "found")?,
        found_status: status(row, "found_status")?,
        run: optional(row, what, "run_id")?,
        status: status(row, "status")?,
    })
}

fn status(row: &AnyRow, column: &str) -> Result<Option<RunStatus>, StoreError> {
    let name: Option<String> = row
        .try_get(column)
        .map_err(|error| super::read::damaged("run", column, error))?;
    name.map(|name| RunStatus::from_name(&name).ok_or_else(|| super::read::damaged("run", column, &name)))
        .transpose()
}
