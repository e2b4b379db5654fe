//! Every way through every run of three tasks with two workers.
//!
//! The world is the run as the database has it, the attempts that two workers hold, and the answers of workers whose
//! engine is gone, which may still come. From each state every step that can happen is taken, and in each the engine
//! may be killed: what it decided and had not written is gone with it, and the next engine begins from the snapshots.

#![expect(clippy::panic, reason = "tests")]

use std::collections::{HashMap, HashSet, VecDeque};

use super::super::*;
use super::{plan, recount};
use crate::spec::TriggerRule;

const WORKERS: usize = 2;

/// Engines that may be killed on one way. Two: the second meets what the first takeover left.
const CRASHES: u8 = 2;

/// What an engine knows and what is around it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    tasks: Vec<Kept>,
    cancelling: bool,
    /// Attempts that a worker runs: place and number.
    in_flight: Vec<(usize, u32)>,
    /// Attempts of engines that are gone, whose answer may still come.
    late: Vec<(usize, u32)>,
    crashes: u8,
    /// Somebody asked for the end, and the engine did not look yet. It is on disk.
    asked: bool,
    /// Tasks whose attempt ended well on disk, with its number.
    finished: Vec<Option<u32>>,
    /// The task whose list was taken, and how many items it had.
    expanded: Option<(usize, usize)>,
}

/// A graph, and which of its tasks has a list.
#[derive(Debug)]
struct Graph {
    plans: Vec<TaskPlan>,
    fan: Option<usize>,
    /// Which of its tasks asks a person.
    asks: Option<usize>,
}

/// How many items a list may have in the exploration.
const ITEMS: std::ops::RangeInclusive<usize> = 0..=2;

/// The parts of a snapshot that decide what comes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kept {
    state: TaskState,
    skip_cause: Option<SkipCause>,
    attempts: u32,
    failures: u32,
    losses: u32,
}

/// The engine's memory of a world.
fn run_of(graph: &Graph, world: &World) -> Run {
    let mut run = Run::from_plans(graph.plans.to_vec()).unwrap();
    if let Some((task, items)) = world.expanded {
        run = run.with_instances(task, (0..items).map(|item| format!("[{item}]")));
    }
    let mut run = run.restore(world.tasks.iter().map(|kept| Snapshot {
        state: kept.state,
        skip_cause: kept.skip_cause,
        reason: None,
        attempts: kept.attempts,
        failures: kept.failures,
        losses: kept.losses,
    }));
    // An engine that lives remembers a cancellation that cancelled no row because all that was open ran.
    run.cancelling = world.cancelling;
    run
}

fn keep(run: &Run) -> Vec<Kept> {
    let kept = run.tasks().iter().map(|task| Kept {
        state: task.state,
        skip_cause: task.skip_cause,
        attempts: task.attempts,
        failures: task.failures,
        losses: task.losses,
    });
    kept.collect()
}

/// Applies an event that must be taken, and holds every invariant against what it changed.
fn take(graph: &Graph, world: &World, event: Event) -> World {
    let mut run = run_of(graph, world);
    let before = keep(&run);
    let changes = apply(&mut run, event.clone()).unwrap_or_else(|error| panic!("{event:?} in {world:?}: {error}"));
    for (place, (old, task)) in before.iter().zip(run.tasks()).enumerate() {
        let plan = &graph.plans[run.parent_of(place).unwrap_or(place)];
        if old.state.is_end() {
            assert_eq!(
                task.state, old.state,
                "{event:?} changed ended task {place} of {world:?}"
            );
        }
        assert!(task.attempts >= old.attempts && task.failures <= task.attempts);
        assert!(task.failures <= plan.max_attempts);
        if task.state == TaskState::Ready && old.state == TaskState::Pending {
            let upstream = recount(&run, plan);
            assert_eq!(
                decide(plan.trigger, &upstream),
                Decision::Start,
                "{event:?} in {world:?}"
            );
        }
        if matches!(task.state, TaskState::Ready | TaskState::Running) && !old.state.is_end() {
            let woken = old.state != task.state && old.state != TaskState::Ready;
            assert!(
                !(run.is_cancelling() && woken),
                "{event:?} starts task {place} of a cancelled run: {world:?}"
            );
        }
    }
    assert_eq!(
        changes.ended.is_some(),
        run.status() != RunStatus::Running && before.iter().any(|task| !task.state.is_end()),
        "the end is told when it comes, and once: {event:?} in {world:?}"
    );
    let mut taken = World {
        tasks: keep(&run),
        cancelling: run.is_cancelling(),
        ..world.clone()
    };
    taken.finished.resize(taken.tasks.len(), None);
    if let Event::Expanded { task, instances } = event
        && !instances.is_empty()
    {
        taken.expanded = Some((task, instances.len()));
        assert_eq!(taken.tasks[task].state, TaskState::Running);
    }
    assert_node(&run, &taken);
    taken
}

/// A task with instances is open as long as one of them is, and no longer.
fn assert_node(run: &Run, world: &World) {
    let Some((task, _)) = world.expanded else { return };
    let Some(places) = run.instances_of(task) else {
        panic!("the instances of {task} are forgotten: {world:?}")
    };
    let open = world.tasks[places.clone()].iter().any(|kept| !kept.state.is_end());
    assert_eq!(world.tasks[task].state.is_end(), !open, "{world:?}");
    let failed = world.tasks[places].iter().any(|kept| kept.state == TaskState::Failed);
    assert!(!failed || world.tasks[task].state != TaskState::Succeeded, "{world:?}");
}

/// An answer that comes too late must leave no trace.
fn assert_refused(graph: &Graph, world: &World, task: usize, attempt: u32) {
    let answers = [
        Event::Succeeded { task, attempt },
        Event::Failed {
            task,
            attempt,
            retryable: true,
        },
        Event::Stopped { task, attempt },
        Event::Lost { task, attempt },
    ];
    for event in answers {
        let mut run = run_of(graph, world);
        let before = run.clone();
        let refused = apply(&mut run, event.clone());
        assert!(refused.is_err(), "{event:?} is late in {world:?} and was taken");
        assert_eq!(run, before, "a refused event changes nothing");
    }
}

fn without(list: &[(usize, u32)], one: (usize, u32)) -> Vec<(usize, u32)> {
    list.iter().copied().filter(|other| *other != one).collect()
}

/// Every world that can come next.
fn next(graph: &Graph, world: &World) -> Vec<World> {
    let mut following = Vec::new();
    let ended = world.tasks.iter().all(|task| task.state.is_end());
    for place in 0..world.tasks.len() {
        let current = world.tasks[place].attempts;
        match world.tasks[place].state {
            TaskState::Ready => {
                assert!(
                    world.finished[place].is_none(),
                    "a finished task is ready again: {world:?}"
                );
                let reason = String::new();
                if graph.asks == Some(place) {
                    let message = String::new();
                    let asked = take(graph, world, Event::Awaited { task: place, message });
                    following.extend(crash(graph, &asked));
                    following.push(asked);
                    following.push(take(graph, world, Event::Rejected { task: place }));
                    continue;
                }
                if graph.fan == Some(place) {
                    for items in ITEMS {
                        let expanded = take(graph, world, expansion(place, items));
                        // Killed before its instances were begun: they are rows, and stay.
                        following.extend(crash(graph, &expanded));
                        following.push(expanded);
                    }
                    following.push(take(graph, world, Event::Rejected { task: place }));
                    continue;
                }
                following.push(take(graph, world, Event::ConditionFalse { task: place, reason }));
                following.push(take(graph, world, Event::Rejected { task: place }));
                if world.in_flight.len() < WORKERS {
                    let claimed = take(graph, world, Event::Started { task: place });
                    // Killed after the start was written and before the worker had it.
                    following.extend(crash(graph, &claimed));
                    let mut claimed = claimed;
                    claimed.in_flight.push((place, current + 1));
                    claimed.in_flight.sort_unstable();
                    following.push(claimed);
                }
            }
            TaskState::WaitingRetry => following.push(take(graph, world, Event::RetryDue { task: place })),
            TaskState::Awaiting => {
                for verdict in VERDICTS {
                    let answered = take(graph, world, answer(place, verdict));
                    // The second of two answers, or one that comes when the deadline was first.
                    let mut run = run_of(graph, &answered);
                    let before = run.clone();
                    assert!(apply(&mut run, answer(place, verdict)).is_err(), "{answered:?}");
                    assert_eq!(run, before, "a refused event changes nothing");
                    following.push(answered);
                }
            }
            _ => {}
        }
    }
    for &(task, attempt) in &world.in_flight {
        let in_flight = without(&world.in_flight, (task, attempt));
        let mut answers = vec![
            Event::Succeeded { task, attempt },
            Event::Failed {
                task,
                attempt,
                retryable: true,
            },
            Event::Failed {
                task,
                attempt,
                retryable: false,
            },
        ];
        if world.cancelling {
            answers.push(Event::Stopped { task, attempt });
        }
        for answer in answers {
            let mut answered = take(graph, world, answer.clone());
            answered.in_flight.clone_from(&in_flight);
            if matches!(answer, Event::Succeeded { .. }) {
                assert_eq!(world.finished[task], None, "attempts ended well twice: {world:?}");
                answered.finished[task] = Some(attempt);
            }
            // The second of two completions of one attempt, in a transaction of its own.
            assert_refused(graph, &answered, task, attempt);
            following.push(answered);
        }
    }
    for &(task, attempt) in &world.late {
        assert_refused(graph, world, task, attempt);
    }
    if !ended && !world.asked && !world.cancelling {
        let mut asked = world.clone();
        asked.asked = true;
        following.push(asked);
    }
    if world.asked && !world.cancelling {
        following.push(cancel(graph, world));
    }
    following.extend(crash(graph, world));
    following
}

const VERDICTS: [Verdict; 3] = [Verdict::Approved, Verdict::Rejected, Verdict::Skipped];

fn answer(task: usize, verdict: Verdict) -> Event {
    Event::Answered {
        task,
        verdict,
        reason: String::new(),
    }
}

fn expansion(task: usize, items: usize) -> Event {
    let made = (0..items).map(|item| NewInstance {
        id: format!("[{item}]"),
        kept: false,
    });
    Event::Expanded {
        task,
        instances: made.collect(),
    }
}

/// What was on its way when the cancellation came must leave no trace: a list that was read, a slot that was taken, the
/// end of a pause.
fn assert_too_late(graph: &Graph, before: &World, cancelled: &World) {
    for (place, old) in before.tasks.iter().enumerate() {
        let task = place;
        let late = match old.state {
            TaskState::Ready => vec![Event::Started { task }, expansion(task, 2)],
            TaskState::WaitingRetry => vec![Event::RetryDue { task }],
            TaskState::Awaiting => VERDICTS.map(|verdict| answer(task, verdict)).to_vec(),
            _ => continue,
        };
        for event in late {
            let mut run = run_of(graph, cancelled);
            let untouched = run.clone();
            assert!(apply(&mut run, event.clone()).is_err(), "{event:?} in {cancelled:?}");
            assert_eq!(run, untouched, "a refused event changes nothing");
        }
    }
}

fn cancel(graph: &Graph, world: &World) -> World {
    let reason = String::new();
    let cancelled = take(graph, world, Event::Cancelled { reason });
    for (place, task) in cancelled.tasks.iter().enumerate() {
        let running = world.tasks[place].state == TaskState::Running;
        assert!(task.state.is_end() || running, "{place} waits on in {cancelled:?}");
    }
    assert_too_late(graph, world, &cancelled);
    cancelled
}

/// The engine is killed, and another one takes the run over as the dispatcher does: it looks whether the end was asked
/// for, gives up what ran, and begins. Each of its steps is a commit, after which it may be killed, too.
fn crash(graph: &Graph, world: &World) -> Vec<World> {
    let ended = world.tasks.iter().all(|task| task.state.is_end());
    if world.crashes == CRASHES || ended {
        return Vec::new();
    }
    let mut left = world.clone();
    left.crashes += 1;
    left.late.append(&mut left.in_flight);
    left.late.sort_unstable();
    left.late.dedup();
    // Only rows survive: whether the run is being cancelled is read from them.
    left.cancelling = left.tasks.iter().any(|task| task.state == TaskState::Cancelled);
    let mut worlds = Vec::new();
    if left.asked && !left.cancelling {
        left = cancel(graph, &left);
        worlds.extend(crash(graph, &left));
    }
    for place in 0..left.tasks.len() {
        let runs_as_instances = left.expanded.is_some_and(|(task, _)| task == place);
        if left.tasks[place].state == TaskState::Running && !runs_as_instances {
            let attempt = left.tasks[place].attempts;
            left = take(graph, &left, Event::Lost { task: place, attempt });
            assert_refused(graph, &left, place, attempt);
            worlds.extend(crash(graph, &left));
        }
    }
    worlds.push(take(graph, &left, Event::Begin));
    worlds
}

/// All ways of one run; how many states there are.
fn explore(graph: &Graph) -> usize {
    let new = Run::from_plans(graph.plans.to_vec()).unwrap();
    let recorded = World {
        tasks: keep(&new),
        cancelling: false,
        in_flight: Vec::new(),
        late: Vec::new(),
        crashes: 0,
        asked: false,
        finished: vec![None; graph.plans.len()],
        expanded: None,
    };
    let mut first = crash(graph, &recorded);
    first.push(take(graph, &recorded, Event::Begin));
    let mut numbers: HashMap<World, usize> = HashMap::new();
    let mut before: Vec<Vec<usize>> = Vec::new();
    let mut ends = Vec::new();
    let mut open: VecDeque<(Option<usize>, World)> = first.into_iter().map(|world| (None, world)).collect();
    while let Some((from, world)) = open.pop_front() {
        if let Some(&known) = numbers.get(&world) {
            before[known].extend(from);
            continue;
        }
        let number = before.len();
        before.push(from.into_iter().collect());
        if world.tasks.iter().all(|task| task.state.is_end()) {
            assert!(
                world.in_flight.is_empty(),
                "a worker goes on after the end of its run: {world:?}"
            );
            ends.push(number);
        }
        open.extend(next(graph, &world).into_iter().map(|world| (Some(number), world)));
        numbers.insert(world, number);
    }
    // Backwards from the ends: whatever happened so far, the run can still come to one.
    let mut reaching: HashSet<usize> = ends.iter().copied().collect();
    while let Some(number) = ends.pop() {
        for &from in &before[number] {
            if reaching.insert(from) {
                ends.push(from);
            }
        }
    }
    let stuck = numbers.iter().find(|(_, number)| !reaching.contains(number));
    assert_eq!(stuck, None, "no way leads from here to an end, {graph:?}");
    numbers.len()
}

/// All graphs of three tasks, each with each of the rules on the tasks that have something before them.
#[test]
fn every_way_of_three_tasks_and_two_workers_with_a_kill_at_each_step() {
    let rules = [
        TriggerRule::AllSuccess,
        TriggerRule::AllDone,
        TriggerRule::OneFailed,
        TriggerRule::NoneFailedMinOneSuccess,
    ];
    let edges: [&[&str]; 4] = [&[], &["a"], &["b"], &["a", "b"]];
    let (mut graphs, mut states) = (0, 0);
    for second in [&edges[0], &edges[1]] {
        for third in &edges {
            for (number, rule) in rules.into_iter().enumerate() {
                for (other, last) in rules.into_iter().enumerate() {
                    // A rule means nothing where nothing stands before.
                    if (second.is_empty() && number > 0) || (third.is_empty() && other > 0) {
                        continue;
                    }
                    let plans = vec![
                        plan("a", &[], TriggerRule::AllSuccess, 2),
                        plan("b", second, rule, 1),
                        plan("c", third, last, 1),
                    ];
                    graphs += 1;
                    states += explore(&Graph {
                        plans,
                        fan: None,
                        asks: None,
                    });
                }
            }
        }
    }
    println!("{graphs} runs of three tasks, {states} states");
    assert!(states > 100_000, "only {states} states: the exploration lost its way");
}

/// A task with a list before, behind or beside others: every list of up to two items, with a kill and a cancellation at
/// each step.
#[test]
fn every_way_of_a_task_with_a_list_and_two_workers_with_a_kill_at_each_step() {
    let rules = [
        TriggerRule::AllSuccess,
        TriggerRule::AllDone,
        TriggerRule::NoneFailedMinOneSuccess,
    ];
    let (mut graphs, mut states) = (0, 0);
    for rule in rules {
        for fan in [0, 1] {
            let plans = vec![
                plan("a", &[], TriggerRule::AllSuccess, 1 + u32::from(fan == 0)),
                plan("b", &["a"], rule, 1 + u32::from(fan == 1)),
            ];
            graphs += 1;
            states += explore(&Graph {
                plans,
                fan: Some(fan),
                asks: None,
            });
        }
        let plans = vec![
            plan("a", &[], TriggerRule::AllSuccess, 1),
            plan("b", &["a"], TriggerRule::AllSuccess, 1),
            plan("c", &["b"], rule, 1),
        ];
        graphs += 1;
        states += explore(&Graph {
            plans,
            fan: Some(1),
            asks: None,
        });
    }
    println!("{graphs} runs with a list, {states} states");
    assert!(states > 10_000, "only {states} states: the exploration lost its way");
}

/// A task that asks a person: every answer, with a kill and a cancellation at each step.
#[test]
fn every_way_of_a_task_that_asks_with_a_kill_at_each_step() {
    let rules = [
        TriggerRule::AllSuccess,
        TriggerRule::OneFailed,
        TriggerRule::NoneFailed,
        TriggerRule::AllDone,
    ];
    let (mut graphs, mut states) = (0, 0);
    for rule in rules {
        for asks in [0, 1] {
            let plans = vec![
                plan("a", &[], TriggerRule::AllSuccess, 1 + u32::from(asks == 1)),
                plan("b", &["a"], rule, 1 + u32::from(asks == 0)),
                plan("c", &[], TriggerRule::AllSuccess, 1),
            ];
            graphs += 1;
            states += explore(&Graph {
                plans,
                fan: None,
                asks: Some(asks),
            });
        }
    }
    println!("{graphs} runs with a question, {states} states");
    assert!(states > 1_000, "only {states} states: the exploration lost its way");
}
