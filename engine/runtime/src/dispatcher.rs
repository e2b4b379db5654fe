//! One loop a run: everything that happens becomes an event of the state machine, what the event changes is written,
//! and only then it has an effect. While one batch is written the next one gathers: a disk that takes five
//! milliseconds for a commit then costs five milliseconds for many events, not for each.

mod approvals;
mod batch;
mod expand;
mod late;
mod limit;
mod pools;
mod reuse;
mod secrets;
mod start;
mod takeover;
mod tell;
mod waiting;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use ratchet_core::plugin::{Plugin, SubDag};
use ratchet_core::spec::{Dag, TaskSpec};
use ratchet_core::state::{Event, Run, RunStatus, TaskState, apply};
use ratchet_core::template::Scope;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use self::batch::Batch;
use self::expand::Fans;
use self::pools::Pools;
use self::waiting::Waiting;
use crate::attempt::{Finished, Verdict};
use crate::engine::Inner;
use crate::error::{EngineError, StoreError};
use crate::event::RunEvent;
use crate::executor::turned_on;
use crate::prepare::{Prepared, Rendered, ports};
use crate::record::{AttemptOutcome, Failure, RunRecord};
use crate::slots::Slot;
use crate::store::{AttemptEnd, InstanceRow, Notice, Question, TaskChange, TaskResult, Transition};
use crate::tracking;

/// How long a run stays with a process that gives no sign of life.
const LEASE: SignedDuration = SignedDuration::from_secs(10);

/// How often it gives one.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// How often it looks whether somebody asked for the run's end.
const LOOK: Duration = Duration::from_millis(500);

/// Why tasks of a cancelled run did not start.
const CANCELLED: &str = "the run was cancelled before it started";

/// Drives one run.
pub(crate) struct Dispatcher {
    engine: Arc<Inner>,
    run: RunRecord,
    dag: Dag,
    state: Run,
    /// What expressions see.
    scope: Scope,
    /// What must not be told.
    secrets: secrets::RunSecrets,
    /// Who we are, for the lease.
    owner: String,
    observer: mpsc::UnboundedSender<RunEvent>,
    cancel: watch::Receiver<bool>,
    /// Tells the attempts that the run is being cancelled.
    stop: watch::Sender<bool>,
    /// Ready tasks that nobody looked at yet.
    ready: VecDeque<usize>,
    /// Ready tasks with their rendered configuration, waiting for a slot.
    waiting: Waiting,
    /// The instances of the tasks that have a list.
    fans: Fans,
    /// What is being looked for in earlier runs.
    looking: JoinSet<reuse::Looked>,
    /// What decides the outputs of tasks that ask for the cache and have to run.
    cache_keys: HashMap<usize, String>,
    pools: Pools,
    /// When the pause of each waiting task is over.
    retries: BTreeMap<usize, Instant>,
    attempts: JoinSet<Finished>,
    /// Which task and attempt each of `attempts` is.
    running: HashMap<Id, (usize, u32)>,
    /// What was decided and is not being written yet.
    gathering: Batch,
    /// The one batch that is being written, if there is one. Batches come to disk in the order of their events.
    writing: JoinSet<Result<Batch, StoreError>>,
    /// True if somebody has to be told something.
    untold: bool,
    /// The one who tells it, if there is anything to tell.
    telling: JoinSet<()>,
}

/// What accompanies an event.
#[derive(Default)]
struct Detail {
    result: Option<TaskResult>,
    ended_attempt: Option<AttemptEnd>,
    pause: Option<Duration>,
    first: Option<RunEvent>,
    instances: Vec<InstanceRow>,
    question: Option<Question>,
}

impl Dispatcher {
    /// Takes the run's lease and reads where it stands.
    pub async fn take(
        engine: Arc<Inner>,
        run: RunRecord,
        observer: mpsc::UnboundedSender<RunEvent>,
        cancel: watch::Receiver<bool>,
    ) -> Result<Self, EngineError> {
        let unreadable = |message: String| EngineError::Dag {
            run: run.id.clone(),
            message,
        };
        let dag = ratchet_core::load_again(&run.file_name, &run.dag_text, &engine.options.registry)
            .map_err(|diagnostics| unreadable(diagnostics.to_string()))?;
        let owner = Uuid::now_v7().to_string();
        if !engine.store.lease(&run.id, &owner, Timestamp::now() + LEASE).await? {
            return Err(StoreError::Leased { run: run.id }.into());
        }
        let mut scope = Scope {
            params: run.params.clone(),
            tasks: BTreeMap::new(),
            run: json!({
                "id": run.id,
                "logical_date": run.logical_date.to_string(),
                "interval_start": run.interval_start.to_string(),
                "interval_end": run.logical_date.to_string(),
            }),
            secrets: BTreeMap::new(),
            each: None,
        };
        let stored = engine.store.stored_tasks(&run.id).await?;
        let kept = match &run.retry_of {
            Some(_) => engine.store.kept_instances(&run.id).await?,
            None => Vec::new(),
        };
        let fans = Fans::restore(dag.tasks.len(), &stored, kept);
        let now = Timestamp::now();
        let mut retries = BTreeMap::new();
        let mut snapshots = Vec::new();
        for (place, task) in stored.into_iter().enumerate() {
            if task.record.state.is_end() {
                scope.tasks.insert(task.record.id, ports(&task.record.outputs));
            }
            if let (TaskState::WaitingRetry, Some(at)) = (task.record.state, task.retry_at) {
                let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                retries.insert(place, Instant::now() + left);
            }
            snapshots.push(task.snapshot);
        }
        let state = Run::new(&dag).map_err(|source| EngineError::Illegal {
            run: run.id.clone(),
            source,
        })?;
        let state = fans.put_back(state).restore(snapshots);
        let (stop, _) = watch::channel(false);
        Ok(Self {
            engine,
            run,
            dag,
            state,
            scope,
            secrets: secrets::RunSecrets::default(),
            owner,
            observer,
            cancel,
            stop,
            ready: VecDeque::new(),
            waiting: Waiting::default(),
            fans,
            looking: JoinSet::new(),
            cache_keys: HashMap::new(),
            pools: Pools::default(),
            retries,
            attempts: JoinSet::new(),
            running: HashMap::new(),
            gathering: Batch::default(),
            writing: JoinSet::new(),
            untold: false,
            telling: JoinSet::new(),
        })
    }

    /// Drives the run to its end and gives it back, also after an error.
    pub async fn drive(mut self) -> Result<(), EngineError> {
        let driven = self.run_loop().await;
        // Whatever still runs after an error ends here: its outcome could not be recorded.
        self.attempts.shutdown().await;
        self.writing.shutdown().await;
        self.engine.journal.flush().await;
        let released = self.engine.store.release(&self.run.id, &self.owner).await;
        driven.and(released.map_err(EngineError::from))
    }

    async fn run_loop(&mut self) -> Result<(), EngineError> {
        self.begin().await?;
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut cancel = self.cancel.clone();
        let mut late_from = self.late_from();
        let ends_at = self.ends_at();
        // Kept over the turns of the loop, so that this run does not lose its place in the queue for a slot.
        let mut slot: Option<(i32, BoxFuture<'static, Option<Slot>>)> = None;
        loop {
            self.prepare()?;
            while let Some(priority) = self.waiting.highest(&self.open_gates()) {
                if slot.as_ref().is_some_and(|(asked, _)| *asked >= priority) {
                    break;
                }
                match self.engine.slots.try_take() {
                    Some(free) => {
                        self.start_next(free).await?;
                        self.prepare()?;
                    }
                    None => slot = Some((priority, Box::pin(Arc::clone(&self.engine.slots).take(priority)))),
                }
            }
            if self.waiting.highest(&self.open_gates()).is_none() {
                slot = None;
            }
            self.write();
            self.tell();
            let ended = self.state.status() != RunStatus::Running;
            if ended && self.running.is_empty() && self.writing.is_empty() && self.telling.is_empty() {
                return Ok(());
            }
            let due = self
                .retries
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(&place, &at)| (place, at));
            tokio::select! {
                Some(written) = self.writing.join_next() => self.written(written)?,
                Some(joined) = self.attempts.join_next_with_id() => {
                    self.attempt_ended(joined)?;
                    while let Some(joined) = self.attempts.try_join_next_with_id() {
                        self.attempt_ended(joined)?;
                    }
                }
                taken = async { slot.as_mut()?.1.as_mut().await }, if slot.is_some() => {
                    slot = None;
                    if let Some(taken) = taken {
                        self.start_next(taken).await?;
                    }
                }
                () = until(due), if due.is_some() => {
                    if let Some((task, _)) = due {
                        self.retries.remove(&task);
                        self.step(Event::RetryDue { task }, Detail::default())?;
                    }
                }
                () = until(late_from.map(|at| (0, at))), if late_from.is_some() => {
                    late_from = None;
                    self.mark_late().await?;
                }
                () = until(ends_at.map(|at| (0, at))), if ends_at.is_some() && !ended && !self.state.is_cancelling() => {
                    self.time_out()?;
                }
                Some(_) = self.telling.join_next() => {}
                Some(looked) = self.looking.join_next() => self.looked(looked)?,
                () = turned_on(&mut cancel), if !self.state.is_cancelling() => {
                    if ended {
                        // Whoever takes the run over tells the rest.
                        return Ok(());
                    }
                    // Kept first: whoever takes the run over cancels it, too.
                    self.engine.store.ask_to_cancel(&self.run.id, &self.run.actor).await?;
                    self.cancel_run()?;
                }
                _ = look.tick(), if !ended && !self.state.is_cancelling() => {
                    if self.engine.store.cancel_asked_by(&self.run.id).await?.is_some() {
                        self.cancel_run()?;
                    } else {
                        self.look_for_answers().await?;
                    }
                }
                _ = heartbeat.tick() => {
                    self.engine.store.renew(&self.run.id, &self.owner, Timestamp::now() + LEASE).await?;
                }
            }
        }
    }

    /// Looks at what became ready: a false `when` skips it, a configuration that cannot be rendered fails it, the
    /// rest waits for a slot.
    fn prepare(&mut self) -> Result<(), EngineError> {
        while let Some(task) = self.ready.pop_front() {
            if self.state.tasks()[task].state != TaskState::Ready {
                continue;
            }
            if self.has_list(task) {
                self.expand(task)?;
                continue;
            }
            if self.ask(task)? {
                continue;
            }
            let prepared = match self.look_up(task) {
                Ok(()) => self.prepared(task),
                Err(failure) => Prepared::Fail(failure),
            };
            match prepared {
                Prepared::Start(rendered) if self.spec(task).cache => self.look_for_earlier(task, rendered),
                Prepared::Start(rendered) => self.queue(task, rendered)?,
                Prepared::Skip(reason) => {
                    self.step(Event::ConditionFalse { task, reason }, Detail::default())?;
                }
                Prepared::Fail(error) => self.reject(task, error)?,
            }
        }
        Ok(())
    }

    /// Puts a task where it waits for its turn. One that runs another DAG needs no slot: its tasks do.
    fn queue(&mut self, task: usize, rendered: Rendered) -> Result<(), EngineError> {
        let (gate, spec) = (self.gate(task), self.spec(task));
        if spec.uses == SubDag::NAME && spec.pool.is_none() && self.has_room_for(&gate) {
            return self.start(Waiting::at_once(gate, task, rendered), None);
        }
        let priority = spec.priority;
        self.waiting.push(gate, priority, task, rendered);
        Ok(())
    }

    fn reject(&mut self, task: usize, error: Failure) -> Result<(), EngineError> {
        let result = Some(TaskResult {
            error: Some(self.secrets.masker.failure(error)),
            ..TaskResult::default()
        });
        let detail = Detail {
            result,
            ..Detail::default()
        };
        self.step(Event::Rejected { task }, detail)
    }

    /// What the file says of a task; of an instance, what it says of its task.
    fn spec(&self, task: usize) -> &TaskSpec {
        &self.dag.tasks[self.state.parent_of(task).unwrap_or(task)]
    }

    fn attempt_ended(&mut self, joined: Result<(Id, Finished), JoinError>) -> Result<(), EngineError> {
        let (id, finished) = match joined {
            Ok((id, finished)) => (id, finished),
            Err(error) => (error.id(), Finished::broken(&error)),
        };
        let Some((task, attempt)) = self.running.remove(&id) else {
            return Ok(());
        };
        self.ended_instance(task);
        let Finished {
            verdict,
            seconds,
            completed,
        } = finished;
        let (event, outcome, error) = match verdict {
            Verdict::Succeeded => (Event::Succeeded { task, attempt }, AttemptOutcome::Succeeded, None),
            Verdict::Cancelled => (Event::Stopped { task, attempt }, AttemptOutcome::Cancelled, None),
            Verdict::Failed {
                outcome,
                failure,
                retryable,
            } => (
                Event::Failed {
                    task,
                    attempt,
                    retryable,
                },
                outcome,
                Some(failure),
            ),
        };
        let next = self.state.tasks()[task].failures + 2;
        let detail = Detail {
            pause: Some(self.spec(task).retry.pause(next, random())),
            ended_attempt: Some(AttemptEnd {
                position: task,
                attempt,
                outcome,
                error: error.clone(),
            }),
            result: Some(TaskResult {
                outputs: completed.outputs,
                promotions: completed.promotions,
                error,
                seconds: Some(seconds),
                cache_key: match event {
                    Event::Succeeded { .. } => self.cache_keys.remove(&task),
                    _ => None,
                },
            }),
            ..Detail::default()
        };
        self.step(event, detail)
    }

    fn cancel_run(&mut self) -> Result<(), EngineError> {
        self.waiting.clear();
        self.retries.clear();
        let reason = CANCELLED.to_owned();
        self.step(Event::Cancelled { reason }, Detail::default())?;
        self.gathering.stop = true;
        Ok(())
    }

    /// Applies an event and hands what it changed to the batch that is written next.
    fn step(&mut self, event: Event, mut detail: Detail) -> Result<(), EngineError> {
        let subject = subject(&event);
        let known = self.state.tasks().len();
        let changes = apply(&mut self.state, event).map_err(|source| EngineError::Illegal {
            run: self.run.id.clone(),
            source,
        })?;
        let ended = detail.ended_attempt.as_ref().map(|end| (end.position, end.attempt));
        let freed = ended.filter(|(task, _)| self.gives_back(*task));
        let mut step = Transition {
            at: Timestamp::now(),
            freed: freed.into_iter().collect(),
            ended_attempts: detail.ended_attempt.take().into_iter().collect(),
            ended: changes.ended,
            instances: std::mem::take(&mut detail.instances),
            questions: detail.question.take().into_iter().collect(),
            events: detail.first.take().into_iter().collect(),
            ..Transition::default()
        };
        // New instances stand in the rows that are added, just as they are.
        for &(place, state) in changes.tasks.iter().filter(|(place, _)| *place < known) {
            let gathered = match self.state.instances_of(place) {
                Some(places) if state.is_end() => Some(self.gathered(place, places)),
                _ => None,
            };
            let task = &self.state.tasks()[place];
            let id = task.id.clone();
            let mut change = TaskChange {
                position: place,
                snapshot: task.snapshot(),
                started: state == TaskState::Running,
                retry_at: None,
                result: None,
            };
            match state {
                TaskState::Running if self.state.instances_of(place).is_some() => {
                    let instances = self.state.instances_of(place).map_or(0, |places| places.len());
                    step.events.push(RunEvent::TaskExpanded { task: id, instances });
                }
                TaskState::Running => {
                    step.started.push((place, task.attempts));
                    step.events.push(RunEvent::TaskStarted {
                        task: id,
                        attempt: task.attempts,
                    });
                }
                TaskState::WaitingRetry => {
                    let pause = detail.pause.unwrap_or_default();
                    change.retry_at = Some(step.at + SignedDuration::try_from(pause).unwrap_or_default());
                    let failed = detail.result.take();
                    step.events.push(RunEvent::TaskRetry {
                        task: id,
                        attempt: task.attempts + 1,
                        pause: pause.as_secs_f64(),
                        error: failed.and_then(|result| result.error).unwrap_or_default(),
                    });
                    self.retries.insert(place, Instant::now() + pause);
                }
                state if state.is_end() => {
                    let result = if subject == Some(place) {
                        detail.result.take()
                    } else {
                        None
                    };
                    let result = gathered.or(result).unwrap_or_default();
                    self.fans.note_failure(place, result.error.as_ref());
                    step.events.push(RunEvent::TaskEnded {
                        task: id.clone(),
                        state,
                        seconds: result.seconds,
                        reason: task
                            .reason
                            .clone()
                            .or_else(|| result.error.as_ref().map(|error| error.message.clone())),
                        error: result.error.clone(),
                        outputs: result.outputs.clone(),
                    });
                    step.notices.extend(self.notice_of(place, state));
                    self.scope.tasks.insert(id, ports(&result.outputs));
                    change.result = Some(result);
                }
                _ => {}
            }
            step.tasks.push(change);
        }
        if let Some(status) = changes.ended {
            step.events.push(RunEvent::RunEnded { status });
            if !self.dag.notify.is_empty() {
                step.notices.push(Notice::RunEnded);
            }
            if tracking::is_wanted() {
                step.notices.push(Notice::Track);
            }
        }
        self.gathering.add(step);
        let ready = changes.tasks.iter().filter(|(_, state)| *state == TaskState::Ready);
        self.ready.extend(ready.map(|(place, _)| *place));
        Ok(())
    }
}

/// The task that an event speaks of, to which its result belongs.
fn subject(event: &Event) -> Option<usize> {
    match *event {
        Event::ConditionFalse { task, .. }
        | Event::Expanded { task, .. }
        | Event::Reused { task, .. }
        | Event::Awaited { task, .. }
        | Event::Answered { task, .. }
        | Event::Rejected { task }
        | Event::Started { task }
        | Event::Succeeded { task, .. }
        | Event::Failed { task, .. }
        | Event::Stopped { task, .. }
        | Event::Lost { task, .. }
        | Event::RetryDue { task } => Some(task),
        Event::Begin | Event::Cancelled { .. } | Event::TimedOut { .. } => None,
    }
}

async fn until(due: Option<(usize, Instant)>) {
    match due {
        Some((_, at)) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// From 0 to 1, for the jitter of a pause.
fn random() -> f64 {
    let (_, low) = Uuid::now_v7().as_u64_pair();
    (low & 0xffff_ffff) as f64 / f64::from(u32::MAX)
}
