//! What people and other processes ask of runs: end one, find those that nobody drives, correct what a task came to.

use jiff::Timestamp;
use ratchet_core::state::{RunStatus, SkipCause, TaskState};
use sqlx::Row;

use super::instances::gather_again;
use super::notices::{Notice, add_notices};
use super::open::{Store, query};
use super::write::{add_events, to_json};
use crate::error::StoreError;
use crate::event::RunEvent;
use crate::record::TaskRecord;

impl Store {
    /// Asks for the end of a run. Whoever drives it looks every half second; if nobody does, the next one who takes it
    /// finds the wish. The first who asked is kept. False if the run has ended.
    pub async fn ask_to_cancel(&self, run: &str, actor: &str) -> Result<bool, StoreError> {
        let failed = query("ask for the end of a run");
        let mut transaction = self.begin("ask for the end of a run").await?;
        let asked = sqlx::query(
            "UPDATE runs SET cancel_asked_at = COALESCE(cancel_asked_at, $2), \
             cancel_asked_by = COALESCE(cancel_asked_by, $3) WHERE id = $1 AND status = 'running'",
        )
        .bind(run)
        .bind(Timestamp::now().to_string())
        .bind(actor)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(asked.rows_affected() == 1)
    }

    /// The same for the run that a task made, if there is one.
    pub(crate) async fn ask_to_cancel_within(&self, run: &str, task: &str, actor: &str) -> Result<(), StoreError> {
        let inner: Option<String> =
            sqlx::query_scalar("SELECT id FROM runs WHERE parent_run = $1 AND parent_task = $2")
                .bind(run)
                .bind(task)
                .fetch_optional(&self.pool)
                .await
                .map_err(query("find the run that a task made"))?;
        if let Some(inner) = inner {
            self.ask_to_cancel(&inner, actor).await?;
        }
        Ok(())
    }

    /// Who asked for the end of the run, if anybody did.
    pub(crate) async fn cancel_asked_by(&self, run: &str) -> Result<Option<String>, StoreError> {
        let asked: Option<Option<String>> = sqlx::query_scalar("SELECT cancel_asked_by FROM runs WHERE id = $1")
            .bind(run)
            .fetch_optional(&self.pool)
            .await
            .map_err(query("look whether a run shall end"))?;
        Ok(asked.flatten())
    }

    /// The runs that have not ended, or of whose end somebody has to be told, and that nobody drives, oldest first: their
    /// engine is gone, or gave them back.
    pub async fn unattended_runs(&self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT id FROM runs WHERE (status = 'running' OR id IN (SELECT run_id FROM notices)) AND lease_until < $1 \
             ORDER BY id",
        )
        .bind(Timestamp::now().as_millisecond())
        .fetch_all(&self.pool)
        .await
        .map_err(query("find runs that nobody drives"))
    }

    /// The runs that have not ended, oldest first; of one DAG, if one is named.
    pub async fn unfinished_runs(&self, dag: Option<&str>) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("SELECT id FROM runs WHERE status = 'running' AND ($1 IS NULL OR dag = $1) ORDER BY id")
            .bind(dag)
            .fetch_all(&self.pool)
            .await
            .map_err(query("find runs that have not ended"))
    }

    /// The same without those of backfills, which have a limit of their own.
    pub async fn active_runs(&self, dag: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT id FROM runs WHERE dag = $1 AND status = 'running' AND started_by NOT IN ('backfill', 'dag') ORDER BY id",
        )
        .bind(dag)
        .fetch_all(&self.pool)
        .await
        .map_err(query("count the active runs of a DAG"))
    }

    /// Marks a run that has not ended as late. False if it has ended or has the mark.
    pub(crate) async fn mark_late(&self, run: &str, now: Timestamp) -> Result<bool, StoreError> {
        let failed = query("mark a run as late");
        let mut transaction = self.begin("mark a run as late").await?;
        let marked =
            sqlx::query("UPDATE runs SET late_at = $2 WHERE id = $1 AND late_at IS NULL AND status = 'running'")
                .bind(run)
                .bind(now.to_string())
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        let marked = marked.rows_affected() == 1;
        if marked {
            add_notices(&mut transaction, run, &[Notice::RunLate]).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(marked)
    }

    /// The newest task that succeeded under a key of the cache, with the id of its run.
    pub(crate) async fn newest_under_key(&self, key: &str) -> Result<Option<(String, TaskRecord)>, StoreError> {
        let found = sqlx::query(
            "SELECT run_id, id FROM tasks WHERE cache_key = $1 AND state = 'succeeded' ORDER BY run_id DESC LIMIT 1",
        )
        .bind(key)
        .fetch_optional(&self.pool)
        .await
        .map_err(query("look into the cache"))?;
        let Some(row) = found else { return Ok(None) };
        let run: String = row.try_get("run_id").map_err(query("look into the cache"))?;
        let id: String = row.try_get("id").map_err(query("look into the cache"))?;
        let mut tasks = self.tasks(&run).await?;
        tasks.retain(|task| task.id == id);
        Ok(tasks.pop().map(|task| (run, task)))
    }

    /// The newest time that a task of a DAG succeeded, with the id of its run.
    pub(crate) async fn newest_success(
        &self,
        dag: &str,
        task: &str,
    ) -> Result<Option<(String, TaskRecord)>, StoreError> {
        let run: Option<String> = sqlx::query_scalar(
            "SELECT runs.id FROM runs JOIN tasks ON tasks.run_id = runs.id \
             WHERE runs.dag = $1 AND tasks.id = $2 AND tasks.state = 'succeeded' ORDER BY runs.id DESC LIMIT 1",
        )
        .bind(dag)
        .bind(task)
        .fetch_optional(&self.pool)
        .await
        .map_err(query("find where a task succeeded"))?;
        let Some(run) = run else { return Ok(None) };
        let mut tasks = self.tasks(&run).await?;
        tasks.retain(|one| one.id == task);
        Ok(tasks.pop().map(|task| (run, task)))
    }

    /// Corrects what a task of an ended run came to, and with it how the run ended. Its outputs stay. None if the run
    /// has not ended.
    pub(crate) async fn mark_task(
        &self,
        run: &str,
        task: &str,
        state: TaskState,
        reason: &str,
    ) -> Result<Option<RunStatus>, StoreError> {
        let failed = query("correct a task");
        let mut transaction = self.begin("correct a task").await?;
        // The lock that puts all events of a run in one order.
        let locked = sqlx::query("UPDATE runs SET version = version + 1 WHERE id = $1 AND status <> 'running'")
            .bind(run)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        if locked.rows_affected() != 1 {
            return Ok(None);
        }
        let now = Timestamp::now().to_string();
        let cause = (state == TaskState::Skipped).then(|| SkipCause::Condition.name());
        let error = (state == TaskState::Failed).then(|| crate::record::Failure {
            message: reason.to_owned(),
            help: None,
        });
        sqlx::query(
            "UPDATE tasks SET state = $3, skip_cause = $4, reason = $5, error = $6, finished_at = $7 \
             WHERE run_id = $1 AND id = $2",
        )
        .bind(run)
        .bind(task)
        .bind(state.name())
        .bind(cause)
        .bind(reason)
        .bind(error.as_ref().map(to_json).transpose()?)
        .bind(&now)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        gather_again(&mut transaction, run, task).await?;
        let states: Vec<String> =
            sqlx::query_scalar("SELECT state FROM tasks WHERE run_id = $1 AND instance_of IS NULL")
                .bind(run)
                .fetch_all(&mut *transaction)
                .await
                .map_err(&failed)?;
        let any = |state: TaskState| states.iter().any(|name| name == state.name());
        let status = if any(TaskState::Cancelled) {
            RunStatus::Cancelled
        } else if any(TaskState::Failed) {
            RunStatus::Failed
        } else {
            RunStatus::Succeeded
        };
        sqlx::query("UPDATE runs SET status = $2 WHERE id = $1")
            .bind(run)
            .bind(status.name())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        let marked = RunEvent::TaskEnded {
            task: task.to_owned(),
            state,
            seconds: None,
            reason: Some(reason.to_owned()),
            error,
            outputs: Default::default(),
        };
        add_events(&mut transaction, run, &now, &[marked, RunEvent::RunEnded { status }]).await?;
        transaction.commit().await.map_err(&failed)?;
        Ok(Some(status))
    }
}
