//! The metadata a page at a time: what follows what was read already, found by an index and not by reading all.

use ratchet_core::state::RunStatus;
use sqlx::Row;

use super::open::{Store, query};
use super::read::{event_record, run_record};
use crate::error::StoreError;
use crate::logs::{LogLine, from_ndjson};
use crate::record::{EventRecord, RunRecord, RunTrigger};

/// Greater than every id, which are hexadecimal.
const BEHIND_ALL: &str = "g";

/// Runs of one DAG. Two texts, so that each one walks an index from the place where the page begins.
const OF_ONE: &str = "SELECT * FROM runs WHERE dag = $1 AND id < $2 AND (CAST($3 AS TEXT) IS NULL OR status = $3) \
                      AND (CAST($4 AS TEXT) IS NULL OR started_by = $4) ORDER BY id DESC LIMIT $5";

/// Runs of all DAGs.
const OF_ALL: &str = "SELECT * FROM runs WHERE CAST($1 AS TEXT) IS NULL AND id < $2 \
                      AND (CAST($3 AS TEXT) IS NULL OR status = $3) \
                      AND (CAST($4 AS TEXT) IS NULL OR started_by = $4) ORDER BY id DESC LIMIT $5";

/// Which runs; what is left out does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunFilter<'a> {
    /// Of this DAG.
    pub dag: Option<&'a str>,
    /// That stand there.
    pub status: Option<RunStatus>,
    /// That were started by this.
    pub trigger: Option<RunTrigger>,
}

impl Store {
    /// Runs, newest first: those before the run of that id, or from the newest one on. Ids begin with the moment at
    /// which they were made, so that one index gives both order and place.
    pub async fn runs_page(
        &self,
        filter: RunFilter<'_>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RunRecord>, StoreError> {
        let text = filter.dag.map_or(OF_ALL, |_| OF_ONE);
        let rows = sqlx::query(text)
            .bind(filter.dag)
            .bind(before.unwrap_or(BEHIND_ALL))
            .bind(filter.status.map(RunStatus::name))
            .bind(filter.trigger.map(RunTrigger::name))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(query("list a page of runs"))?;
        rows.iter().map(run_record).collect()
    }

    /// The state changes of a run behind that number, in their order.
    pub async fn events_after(&self, run: &str, number: u64) -> Result<Vec<EventRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM events WHERE run_id = $1 AND number > $2 ORDER BY number")
            .bind(run)
            .bind(i64::try_from(number).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(query("read the events of a run"))?;
        rows.iter().map(event_record).collect()
    }

    /// The attempts of a run that have not ended: task and number.
    pub async fn attempts_under_way(&self, run: &str) -> Result<Vec<(String, u32)>, StoreError> {
        let failed = query("find the attempts under way");
        let rows = sqlx::query(
            "SELECT tasks.id AS task, attempts.attempt AS attempt FROM attempts \
             JOIN tasks ON tasks.run_id = attempts.run_id AND tasks.position = attempts.position \
             WHERE attempts.run_id = $1 AND attempts.outcome IS NULL ORDER BY attempts.position, attempts.attempt",
        )
        .bind(run)
        .fetch_all(&self.pool)
        .await
        .map_err(&failed)?;
        rows.iter()
            .map(|row| {
                let attempt: i64 = row.try_get("attempt").map_err(&failed)?;
                Ok((
                    row.try_get("task").map_err(&failed)?,
                    u32::try_from(attempt).unwrap_or(u32::MAX),
                ))
            })
            .collect()
    }

    /// The log lines of an attempt under way behind so many; none once its log stands in the bucket.
    pub async fn lines_after(
        &self,
        run: &str,
        task: &str,
        attempt: u32,
        seen: usize,
    ) -> Result<Vec<LogLine>, StoreError> {
        // Lines share their numbers with points of curves: how many were seen is counted, not compared.
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM said WHERE run_id = $1 AND task = $2 AND attempt = $3 AND kind = 'log' \
             ORDER BY number LIMIT $4 OFFSET $5",
        )
        .bind(run)
        .bind(task)
        .bind(i64::from(attempt))
        .bind(i64::from(u32::MAX))
        .bind(i64::try_from(seen).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(query("read what a task said"))?;
        Ok(from_ndjson(bodies.join("\n").as_bytes(), task, attempt))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::{AttemptName, Saying, SayingKind};
    use ratchet_database::Address;

    async fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let address = Address::file(&directory.path().join("engine.sqlite"));
        let store = Store::open(&address).await.unwrap();
        (directory, store)
    }

    async fn add(store: &Store, id: &str, dag: &str, status: &str, started_by: &str) {
        let day = format!("2024-05-01T00:00:{}Z", &id[id.len() - 2..]);
        sqlx::query(
            "INSERT INTO runs (id, dag, status, started_by, actor, params, logical_date, interval_start, created_at, \
             dag_text, file_name, version, lease_until) VALUES ($1, $2, $3, $4, 'ada', '{}', $5, $5, $5, '', '', 0, 0)",
        )
        .bind(id)
        .bind(dag)
        .bind(status)
        .bind(started_by)
        .bind(&day)
        .execute(&store.pool)
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn pages_give_each_run_once_newest_first_also_while_new_ones_come() {
        let (_directory, store) = store().await;
        for number in 10..30 {
            let status = if number % 3 == 0 { "failed" } else { "succeeded" };
            let dag = if number % 2 == 0 { "even" } else { "odd" };
            add(&store, &format!("a-{number}"), dag, status, "manual").await;
        }
        let mut seen: Vec<String> = Vec::new();
        loop {
            let before = seen.last().cloned();
            let page = store
                .runs_page(RunFilter::default(), before.as_deref(), 7)
                .await
                .unwrap();
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|run| run.id));
            // A run that comes while somebody pages stands before what was read and moves nothing.
            add(&store, &format!("a-{}", 40 + seen.len()), "new", "running", "manual").await;
        }
        let expected: Vec<String> = (10..30).rev().map(|number| format!("a-{number}")).collect();
        assert_eq!(seen, expected);
        let filter = RunFilter {
            dag: Some("even"),
            status: Some(RunStatus::Failed),
            trigger: Some(RunTrigger::Manual),
        };
        let found = store.runs_page(filter, Some("a-24"), 10).await.unwrap();
        let found: Vec<&str> = found.iter().map(|run| run.id.as_str()).collect();
        assert_eq!(found, ["a-18", "a-12"]);
        let scheduled = RunFilter {
            trigger: Some(RunTrigger::Schedule),
            ..RunFilter::default()
        };
        assert!(store.runs_page(scheduled, None, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_page_begins_at_its_place_and_not_at_the_newest_run() {
        let (_directory, store) = store().await;
        for text in [OF_ONE, OF_ALL] {
            let explained = format!("EXPLAIN QUERY PLAN {text}");
            let rows = sqlx::query(sqlx::AssertSqlSafe(explained))
                .fetch_all(&store.pool)
                .await
                .unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            assert!(plan.len() == 1 && plan[0].starts_with("SEARCH"), "{plan:?}");
        }
    }

    #[tokio::test]
    async fn lines_are_counted_apart_from_points_of_curves() {
        let (_directory, store) = store().await;
        let saying = |number: i64, kind: SayingKind| Saying {
            run: "run".to_owned(),
            task: "train".to_owned(),
            attempt: 1,
            number,
            kind,
            body: format!(
                r#"{{"time":"2024-05-01T00:00:00Z","task":"train","attempt":1,"level":"info","stream":"task","message":"{number}"}}"#
            ),
        };
        let said = [
            saying(1, SayingKind::Log),
            saying(2, SayingKind::Metric),
            saying(3, SayingKind::Log),
            saying(4, SayingKind::Log),
        ];
        store.keep_said(&said, &[]).await.unwrap();
        let messages = async |seen| {
            let lines = store.lines_after("run", "train", 1, seen).await.unwrap();
            lines.into_iter().map(|line| line.message).collect::<Vec<_>>()
        };
        assert_eq!(messages(0).await, ["1", "3", "4"]);
        assert_eq!(messages(2).await, ["4"]);
        assert!(messages(3).await.is_empty());
        let moved = AttemptName {
            run: "run".to_owned(),
            task: "train".to_owned(),
            attempt: 1,
        };
        store.keep_said(&[], &[moved]).await.unwrap();
        assert!(messages(0).await.is_empty());
    }
}
