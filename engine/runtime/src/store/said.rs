//! What attempts under way say: kept as it comes, removed when it stands in the bucket.

use ratchet_core::plugin::TaskMessage;
use sqlx::Row;

use super::open::{Store, query};
use super::read::number;
use crate::error::StoreError;
use crate::logs::LogLine;

/// The number of the one row that holds how far an attempt got; lines count from 1.
const PROGRESS: i64 = 0;

/// Something that an attempt said.
#[derive(Clone, Debug)]
pub(crate) struct Saying {
    pub run: String,
    pub task: String,
    pub attempt: u32,
    /// From 1 per attempt; progress has none.
    pub number: i64,
    pub kind: SayingKind,
    /// JSON.
    pub body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SayingKind {
    Log,
    Progress,
    Metric,
}

impl SayingKind {
    fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Progress => "progress",
            Self::Metric => "metric",
        }
    }
}

/// Which attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AttemptName {
    pub run: String,
    pub task: String,
    pub attempt: u32,
}

/// How far an attempt under way got.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskProgress {
    /// Task id.
    pub task: String,
    /// From 1.
    pub attempt: u32,
    /// From 0 to 1.
    pub fraction: f64,
    /// What it does now.
    pub message: String,
}

impl Store {
    /// Keeps sayings and removes those of attempts whose documents stand in the bucket, in one transaction.
    pub(crate) async fn keep_said(&self, sayings: &[Saying], moved: &[AttemptName]) -> Result<(), StoreError> {
        let failed = query("keep what tasks say");
        let mut transaction = self.begin("keep what tasks say").await?;
        for saying in sayings {
            let number = if saying.kind == SayingKind::Progress {
                PROGRESS
            } else {
                saying.number
            };
            sqlx::query(
                "INSERT INTO said (run_id, task, attempt, number, kind, body) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (run_id, task, attempt, number) DO UPDATE SET body = excluded.body",
            )
            .bind(&saying.run)
            .bind(&saying.task)
            .bind(i64::from(saying.attempt))
            .bind(number)
            .bind(saying.kind.name())
            .bind(&saying.body)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        }
        for name in moved {
            sqlx::query("DELETE FROM said WHERE run_id = $1 AND task = $2 AND attempt = $3")
                .bind(&name.run)
                .bind(&name.task)
                .bind(i64::from(name.attempt))
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }

    /// The attempts of a run whose sayings are still kept here.
    pub(crate) async fn said_attempts(&self, run: &str) -> Result<Vec<AttemptName>, StoreError> {
        let failed = query("find what tasks said");
        let rows = sqlx::query("SELECT DISTINCT task, attempt FROM said WHERE run_id = $1 ORDER BY task, attempt")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        rows.iter()
            .map(|row| {
                Ok(AttemptName {
                    run: run.to_owned(),
                    task: row.try_get("task").map_err(&failed)?,
                    attempt: number(row, "saying", "attempt")?,
                })
            })
            .collect()
    }

    /// The bodies of one kind, a line each, in the order in which they were said.
    pub(crate) async fn said(&self, name: &AttemptName, kind: SayingKind) -> Result<Vec<u8>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM said WHERE run_id = $1 AND task = $2 AND attempt = $3 AND kind = $4 ORDER BY number",
        )
        .bind(&name.run)
        .bind(&name.task)
        .bind(i64::from(name.attempt))
        .bind(kind.name())
        .fetch_all(&self.pool)
        .await
        .map_err(query("read what a task said"))?;
        Ok(bodies.into_iter().flat_map(|body| (body + "\n").into_bytes()).collect())
    }

    /// How far the attempts under way of a run got, as far as they said so.
    pub async fn progress(&self, run: &str) -> Result<Vec<TaskProgress>, StoreError> {
        let failed = query("read the progress of a run");
        let rows = sqlx::query(
            "SELECT said.task, said.attempt, said.body FROM said \
             JOIN tasks ON tasks.run_id = said.run_id AND tasks.id = said.task AND tasks.attempts = said.attempt \
             WHERE said.run_id = $1 AND said.kind = 'progress' AND tasks.state = 'running' ORDER BY tasks.position",
        )
        .bind(run)
        .fetch_all(&self.pool)
        .await
        .map_err(&failed)?;
        let mut found = Vec::new();
        for row in &rows {
            let body: String = row.try_get("body").map_err(&failed)?;
            let Ok(TaskMessage::Progress { fraction, message }) = serde_json::from_str(&body) else {
                continue;
            };
            found.push(TaskProgress {
                task: row.try_get("task").map_err(&failed)?,
                attempt: number(row, "saying", "attempt")?,
                fraction,
                message,
            });
        }
        Ok(found)
    }
}

impl Saying {
    /// A line of the log as it is kept; none if it cannot be written as JSON, which no line does.
    pub(crate) fn line(run: &str, number: i64, line: &LogLine) -> Option<Self> {
        Some(Self {
            run: run.to_owned(),
            task: line.task.clone(),
            attempt: line.attempt,
            number,
            kind: SayingKind::Log,
            body: serde_json::to_string(line).ok()?,
        })
    }
}
