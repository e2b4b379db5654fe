#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::spec::TriggerRule;

mod exploration;

const RULES: [TriggerRule; 12] = [
    TriggerRule::AllSuccess,
    TriggerRule::AllFailed,
    TriggerRule::AllDone,
    TriggerRule::AllDoneMinOneSuccess,
    TriggerRule::OneSuccess,
    TriggerRule::OneFailed,
    TriggerRule::OneDone,
    TriggerRule::NoneFailed,
    TriggerRule::NoneSkipped,
    TriggerRule::NoneFailedMinOneSuccess,
    TriggerRule::AllSkipped,
    TriggerRule::Always,
];

fn plan(id: &str, dependencies: &[&str], trigger: TriggerRule, max_attempts: u32) -> TaskPlan {
    TaskPlan {
        id: id.to_owned(),
        dependencies: dependencies.iter().map(|&id| id.to_owned()).collect(),
        trigger,
        max_attempts,
    }
}

fn chain() -> Run {
    Run::from_plans([
        plan("gate", &[], TriggerRule::AllSuccess, 1),
        plan("train", &["gate"], TriggerRule::AllSuccess, 1),
        plan("promote", &["train"], TriggerRule::AllSuccess, 1),
        plan("cleanup", &["promote"], TriggerRule::AllDone, 1),
    ])
    .unwrap()
}

fn states(run: &Run) -> Vec<TaskState> {
    run.tasks().iter().map(|task| task.state).collect()
}

/// Y-056
#[test]
fn a_failure_skips_what_follows_and_names_its_root() {
    let mut run = chain();
    assert_eq!(apply(&mut run, Event::Begin).unwrap().tasks, [(0, TaskState::Ready)]);
    apply(&mut run, Event::Started { task: 0 }).unwrap();
    let changes = apply(
        &mut run,
        Event::Failed {
            task: 0,
            attempt: 1,
            retryable: true,
        },
    )
    .unwrap();
    assert_eq!(
        changes.tasks,
        [
            (0, TaskState::Failed),
            (1, TaskState::Skipped),
            (2, TaskState::Skipped),
            (3, TaskState::Ready)
        ]
    );
    for place in [1, 2] {
        assert_eq!(run.tasks()[place].reason.as_deref(), Some("task `gate` failed"));
        assert_eq!(run.tasks()[place].skip_cause, Some(SkipCause::UpstreamFailed));
    }
    apply(&mut run, Event::Started { task: 3 }).unwrap();
    let changes = apply(&mut run, Event::Succeeded { task: 3, attempt: 1 }).unwrap();
    assert_eq!(
        changes.ended,
        Some(RunStatus::Failed),
        "a cleanup that succeeds does not hide the failure"
    );
}

/// Y-059
#[test]
fn attempts_are_retried_until_none_is_left() {
    let mut run = Run::from_plans([plan("a", &[], TriggerRule::AllSuccess, 2)]).unwrap();
    apply(&mut run, Event::Begin).unwrap();
    apply(&mut run, Event::Started { task: 0 }).unwrap();
    let changes = apply(
        &mut run,
        Event::Failed {
            task: 0,
            attempt: 1,
            retryable: true,
        },
    )
    .unwrap();
    assert_eq!(changes.tasks, [(0, TaskState::WaitingRetry)]);
    apply(&mut run, Event::RetryDue { task: 0 }).unwrap();
    apply(&mut run, Event::Started { task: 0 }).unwrap();
    let late = apply(&mut run, Event::Succeeded { task: 0, attempt: 1 });
    assert_eq!(
        late,
        Err(IllegalEvent::Stale {
            task: "a".to_owned(),
            attempt: 1,
            current: 2
        })
    );
    let changes = apply(
        &mut run,
        Event::Failed {
            task: 0,
            attempt: 2,
            retryable: true,
        },
    )
    .unwrap();
    assert_eq!(
        (changes.tasks, changes.ended),
        (vec![(0, TaskState::Failed)], Some(RunStatus::Failed))
    );
}

#[test]
fn a_lost_attempt_is_run_again_and_is_no_failure() {
    let mut run = Run::from_plans([plan("a", &[], TriggerRule::AllSuccess, 1)]).unwrap();
    apply(&mut run, Event::Begin).unwrap();
    apply(&mut run, Event::Started { task: 0 }).unwrap();
    let snapshots: Vec<Snapshot> = run.tasks().iter().map(Task::snapshot).collect();
    let mut run = Run::from_plans([plan("a", &[], TriggerRule::AllSuccess, 1)])
        .unwrap()
        .restore(snapshots);
    apply(&mut run, Event::Lost { task: 0, attempt: 1 }).unwrap();
    apply(&mut run, Event::Begin).unwrap();
    apply(&mut run, Event::Started { task: 0 }).unwrap();
    assert_eq!((run.tasks()[0].attempts, run.tasks()[0].failures), (2, 0));
    assert!(
        apply(&mut run, Event::Succeeded { task: 0, attempt: 1 }).is_err(),
        "the lost attempt comes too late"
    );
    let changes = apply(&mut run, Event::Succeeded { task: 0, attempt: 2 }).unwrap();
    assert_eq!(changes.ended, Some(RunStatus::Succeeded));
}

#[test]
fn a_task_that_is_lost_again_and_again_is_given_up_and_a_failure_in_between_starts_the_count_anew() {
    let plans = [
        plan("a", &[], TriggerRule::AllSuccess, 3),
        plan("b", &["a"], TriggerRule::AllSuccess, 1),
    ];
    let mut run = Run::from_plans(plans).unwrap();
    apply(&mut run, Event::Begin).unwrap();
    let lose = |run: &mut Run| {
        apply(run, Event::Started { task: 0 }).unwrap();
        let attempt = run.tasks()[0].attempts;
        apply(run, Event::Lost { task: 0, attempt }).unwrap()
    };
    for _ in 1..MAX_LOSSES {
        assert_eq!(lose(&mut run).tasks, [(0, TaskState::Ready)]);
    }
    apply(&mut run, Event::Started { task: 0 }).unwrap();
    let attempt = run.tasks()[0].attempts;
    let failed = Event::Failed {
        task: 0,
        attempt,
        retryable: true,
    };
    apply(&mut run, failed).unwrap();
    apply(&mut run, Event::RetryDue { task: 0 }).unwrap();
    for _ in 1..MAX_LOSSES {
        assert_eq!(lose(&mut run).tasks, [(0, TaskState::Ready)]);
    }
    let changes = lose(&mut run);
    assert_eq!(changes.ended, Some(RunStatus::Failed));
    assert_eq!(states(&run), [TaskState::Failed, TaskState::Skipped]);
}

#[test]
fn cancelling_ends_what_waits_and_lets_a_running_attempt_be_stopped() {
    let mut run = chain();
    apply(&mut run, Event::Begin).unwrap();
    apply(&mut run, Event::Started { task: 0 }).unwrap();
    let early = apply(&mut run, Event::Stopped { task: 0, attempt: 1 });
    assert_eq!(
        early,
        Err(IllegalEvent::NotCancelling {
            task: "gate".to_owned()
        })
    );
    let changes = apply(
        &mut run,
        Event::Cancelled {
            reason: "by hand".to_owned(),
        },
    )
    .unwrap();
    assert_eq!((changes.tasks.len(), changes.ended), (3, None));
    let changes = apply(&mut run, Event::Stopped { task: 0, attempt: 1 }).unwrap();
    assert_eq!(changes.ended, Some(RunStatus::Cancelled));
    assert_eq!(states(&run), [TaskState::Cancelled; 4]);
}

#[test]
fn a_long_chain_is_skipped_without_recursion() {
    let count = 20_000;
    let ids: Vec<String> = (0..count).map(|place| format!("t{place}")).collect();
    let plans = (0..count).map(|place| TaskPlan {
        id: ids[place].clone(),
        dependencies: ids[place.saturating_sub(1)..place].to_vec(),
        trigger: TriggerRule::AllSuccess,
        max_attempts: 1,
    });
    let mut run = Run::from_plans(plans).unwrap();
    apply(&mut run, Event::Begin).unwrap();
    let changes = apply(
        &mut run,
        Event::ConditionFalse {
            task: 0,
            reason: "no".to_owned(),
        },
    )
    .unwrap();
    assert_eq!(
        (changes.tasks.len(), changes.ended),
        (count, Some(RunStatus::Succeeded))
    );
    assert_eq!(
        run.tasks()[count - 1].reason.as_deref(),
        Some("task `t19998` was skipped")
    );
}

#[test]
fn a_plan_out_of_order_is_refused() {
    let error = Run::from_plans([plan("b", &["a"], TriggerRule::AllSuccess, 1)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "task `b` depends on `a`, which does not stand before it"
    );
}

fn instances(ids: &[&str]) -> Vec<NewInstance> {
    let made = ids.iter().map(|id| NewInstance {
        id: (*id).to_owned(),
        kept: id.contains("kept"),
    });
    made.collect()
}

#[test]
fn a_task_with_a_list_is_one_node_that_ends_with_the_last_of_its_instances() {
    let plans = [
        plan("list", &[], TriggerRule::AllSuccess, 1),
        plan("each", &["list"], TriggerRule::AllSuccess, 2),
        plan("join", &["each"], TriggerRule::AllSuccess, 1),
        plan("alarm", &["each"], TriggerRule::OneFailed, 1),
    ];
    let mut run = Run::from_plans(plans).unwrap();
    apply(&mut run, Event::Begin).unwrap();
    apply(&mut run, Event::Started { task: 0 }).unwrap();
    apply(&mut run, Event::Succeeded { task: 0, attempt: 1 }).unwrap();
    let ids = instances(&["each[a]", "each[b]", "each[kept]"]);
    let expanded = Event::Expanded {
        task: 1,
        instances: ids.clone(),
    };
    let changes = apply(&mut run, expanded.clone()).unwrap();
    assert_eq!(
        changes.tasks,
        [
            (1, TaskState::Running),
            (4, TaskState::Ready),
            (5, TaskState::Ready),
            (6, TaskState::Succeeded)
        ]
    );
    assert!(apply(&mut run, expanded).is_err(), "a list is taken once");
    let own = Event::Succeeded { task: 1, attempt: 0 };
    assert!(matches!(apply(&mut run, own), Err(IllegalEvent::HasInstances { .. })));
    let nested = Event::Expanded {
        task: 4,
        instances: ids,
    };
    assert!(matches!(apply(&mut run, nested), Err(IllegalEvent::IsInstance { .. })));
    apply(&mut run, Event::Started { task: 4 }).unwrap();
    apply(&mut run, Event::Started { task: 5 }).unwrap();
    let failed = |task| Event::Failed {
        task,
        attempt: 1,
        retryable: false,
    };
    assert_eq!(apply(&mut run, failed(4)).unwrap().tasks, [(4, TaskState::Failed)]);
    let changes = apply(&mut run, Event::Succeeded { task: 5, attempt: 1 }).unwrap();
    assert_eq!(
        changes.tasks,
        [
            (5, TaskState::Succeeded),
            (1, TaskState::Failed),
            (2, TaskState::Skipped),
            (3, TaskState::Ready)
        ]
    );
    assert_eq!(run.tasks()[2].reason.as_deref(), Some("task `each` failed"));
}

#[test]
fn a_task_without_items_or_whose_instances_are_all_skipped_is_skipped() {
    let plans = [
        plan("each", &[], TriggerRule::AllSuccess, 1),
        plan("after", &["each"], TriggerRule::NoneFailed, 1),
    ];
    let mut run = Run::from_plans(plans.clone()).unwrap();
    apply(&mut run, Event::Begin).unwrap();
    let empty = Event::Expanded {
        task: 0,
        instances: Vec::new(),
    };
    let changes = apply(&mut run, empty).unwrap();
    assert_eq!(changes.tasks, [(0, TaskState::Skipped), (1, TaskState::Ready)]);

    let mut run = Run::from_plans(plans).unwrap();
    apply(&mut run, Event::Begin).unwrap();
    let expanded = Event::Expanded {
        task: 0,
        instances: instances(&["each[0]", "each[1]"]),
    };
    apply(&mut run, expanded).unwrap();
    for task in [2, 3] {
        let reason = "no".to_owned();
        apply(&mut run, Event::ConditionFalse { task, reason }).unwrap();
    }
    assert_eq!(run.tasks()[0].skip_cause, Some(SkipCause::Condition));
    assert_eq!(states(&run)[..2], [TaskState::Skipped, TaskState::Ready]);
}

#[test]
fn a_cancelled_run_takes_no_list_and_ends_its_instances() {
    let plans = [plan("each", &[], TriggerRule::AllSuccess, 1)];
    let expanded = Event::Expanded {
        task: 0,
        instances: instances(&["each[0]", "each[1]"]),
    };
    let cancelled = Event::Cancelled {
        reason: "by hand".to_owned(),
    };
    let mut run = Run::from_plans(plans.clone()).unwrap();
    apply(&mut run, Event::Begin).unwrap();
    apply(&mut run, cancelled.clone()).unwrap();
    let before = run.clone();
    assert!(apply(&mut run, expanded.clone()).is_err());
    assert_eq!(run, before, "a list that comes too late changes nothing");

    let mut run = Run::from_plans(plans).unwrap();
    apply(&mut run, Event::Begin).unwrap();
    apply(&mut run, expanded).unwrap();
    apply(&mut run, Event::Started { task: 1 }).unwrap();
    assert_eq!(apply(&mut run, cancelled).unwrap().ended, None);
    let changes = apply(&mut run, Event::Stopped { task: 1, attempt: 1 }).unwrap();
    assert_eq!(changes.ended, Some(RunStatus::Cancelled));
    assert_eq!(states(&run), [TaskState::Cancelled; 3]);
}

/// What a task does whenever it is started: fails so often, then ends so.
#[derive(Clone, Copy, Debug)]
struct Script {
    /// How many items its list has, if it has one.
    items: Option<usize>,
    failures: u32,
    condition: bool,
    lost: bool,
}

#[derive(Clone, Debug)]
struct Scenario {
    plans: Vec<TaskPlan>,
    scripts: Vec<Script>,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let task = |place: usize| {
        (
            prop::collection::btree_set(0..place.max(1), 0..=place.min(4)),
            prop::sample::select(RULES.to_vec()),
            1..3_u32,
            (
                prop::option::weighted(0.25, 0..4_usize),
                0..4_u32,
                prop::bool::weighted(0.85),
                prop::bool::weighted(0.2),
            ),
        )
            .prop_map(
                move |(dependencies, trigger, max_attempts, (items, failures, condition, lost))| {
                    let dependencies = if place == 0 {
                        Vec::new()
                    } else {
                        dependencies.into_iter().collect()
                    };
                    let plan = TaskPlan {
                        id: format!("t{place}"),
                        dependencies: dependencies.iter().map(|before: &usize| format!("t{before}")).collect(),
                        trigger,
                        max_attempts,
                    };
                    (
                        plan,
                        Script {
                            items,
                            failures,
                            condition,
                            lost,
                        },
                    )
                },
            )
    };
    (1..12_usize)
        .prop_flat_map(move |count| (0..count).map(task).collect::<Vec<_>>())
        .prop_map(|tasks| {
            let (plans, scripts) = tasks.into_iter().unzip();
            Scenario { plans, scripts }
        })
}

/// The dependencies' states, counted anew from the outside.
fn recount(run: &Run, plan: &TaskPlan) -> Upstream {
    let mut upstream = Upstream {
        total: plan.dependencies.len(),
        ..Upstream::default()
    };
    for task in run.tasks().iter().filter(|task| plan.dependencies.contains(&task.id)) {
        match (task.state, task.skip_cause) {
            (TaskState::Succeeded, _) => upstream.succeeded += 1,
            (TaskState::Failed, _) => upstream.failed += 1,
            (TaskState::Skipped, Some(SkipCause::UpstreamFailed)) => upstream.upstream_failed += 1,
            (TaskState::Skipped, _) => upstream.skipped += 1,
            _ => {}
        }
    }
    upstream
}

/// Without the tasks that later reasons would name: with several failures, which one is named depends on the order.
fn without_names(mut run: Run) -> Run {
    for task in &mut run.tasks {
        task.failed_root = None;
        task.upstream.first_succeeded = None;
        task.upstream.first_failed = None;
        task.upstream.first_skipped = None;
    }
    run
}

/// The list of a task, which is the same whenever it is asked for.
fn expansion(run: &Run, place: usize, items: usize) -> Event {
    let id = |item: usize| format!("{}[{item}]", run.tasks()[place].id);
    let made = (0..items).map(|item| NewInstance {
        id: id(item),
        kept: item == 2,
    });
    Event::Expanded {
        task: place,
        instances: made.collect(),
    }
}

/// A run that another engine reads back.
fn read_back(plans: &[TaskPlan], run: &Run) -> Run {
    let mut restored = Run::from_plans(plans.to_vec()).unwrap();
    let made = (0..plans.len()).filter_map(|task| Some((run.instances_of(task)?, task)));
    let mut made: Vec<_> = made.collect();
    // In the order in which they were made, because each stands behind all that was there.
    made.sort_by_key(|(places, _)| places.start);
    for (places, task) in made {
        let ids = run.tasks()[places].iter().map(|task| task.id.clone());
        restored = restored.with_instances(task, ids);
    }
    restored.restore(run.tasks().iter().map(Task::snapshot))
}

/// Plays a scenario to its end; `choices` picks which of the possible events comes next.
fn play(scenario: &Scenario, choices: &[u8]) -> Run {
    let mut run = Run::from_plans(scenario.plans.clone()).unwrap();
    let mut lost: std::collections::HashSet<usize> = Default::default();
    apply(&mut run, Event::Begin).unwrap();
    let mut ended = (run.status() != RunStatus::Running).then(|| run.status());
    for step in 0..10_000 {
        let possible: Vec<usize> = (0..run.tasks().len())
            .filter(|&place| {
                matches!(
                    run.tasks()[place].state,
                    TaskState::Ready | TaskState::Running | TaskState::WaitingRetry
                ) && run.instances_of(place).is_none()
            })
            .collect();
        if possible.is_empty() {
            assert_eq!(
                ended,
                Some(run.status()),
                "the end is told once, and nothing is left over"
            );
            assert!(run.tasks().iter().all(|task| task.state.is_end()), "{run:?}");
            return run;
        }
        let choice = choices[step % choices.len()] as usize;
        let place = possible[choice % possible.len()];
        // Instances do what their task's script says, each a little else.
        let node = run.parent_of(place).unwrap_or(place);
        let mut script = scenario.scripts[node];
        if let Some(places) = run.instances_of(node) {
            let number = place - places.start;
            script.items = None;
            script.failures = script.failures.saturating_sub(number as u32 % 2);
            script.condition |= number.is_multiple_of(2);
        }
        let task = &run.tasks()[place];
        let attempt = task.attempts;
        let event = match task.state {
            TaskState::Ready if script.items.is_some() => expansion(&run, place, script.items.unwrap_or_default()),
            TaskState::Ready if !script.condition => Event::ConditionFalse {
                task: place,
                reason: String::new(),
            },
            TaskState::Ready => {
                let upstream = recount(&run, &scenario.plans[node]);
                assert_eq!(
                    decide(scenario.plans[node].trigger, &upstream),
                    Decision::Start,
                    "task {place} of {run:?}"
                );
                Event::Started { task: place }
            }
            TaskState::WaitingRetry => Event::RetryDue { task: place },
            _ if script.lost && !lost.contains(&place) => {
                lost.insert(place);
                Event::Lost { task: place, attempt }
            }
            _ if task.failures < script.failures => Event::Failed {
                task: place,
                attempt,
                retryable: true,
            },
            _ => Event::Succeeded { task: place, attempt },
        };
        let changes = apply(&mut run, event).unwrap();
        assert!(ended.is_none() || changes.ended.is_none());
        ended = ended.or(changes.ended);

        assert_eq!(
            without_names(read_back(&scenario.plans, &run)),
            without_names(run.clone()),
            "what is kept is all there is"
        );
    }
    unreachable!("a run of {} tasks does not end", scenario.plans.len())
}

proptest! {
    /// Every run ends; no task starts before its rule allows; a run read back is the same run; and the end does not
    /// depend on the order in which tasks start, fail, are lost and end.
    #[test]
    fn every_run_ends_and_the_order_does_not_matter(
        scenario in scenario(),
        one in prop::collection::vec(any::<u8>(), 1..64),
        other in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        let (first, second) = (play(&scenario, &one), play(&scenario, &other));
        // Instances are compared by their ids: whose list came first decides their places.
        let ends = |run: &Run| {
            let ended = run.tasks().iter().map(|task| (task.id.clone(), (task.state, task.skip_cause)));
            ended.collect::<std::collections::BTreeMap<_, _>>()
        };
        prop_assert_eq!(ends(&first), ends(&second));
        prop_assert_eq!(first.status(), second.status());
    }

    /// Cancelled at any moment, a run ends when its running attempts are stopped, and no task starts any more.
    #[test]
    fn a_cancelled_run_ends(scenario in scenario(), starts in 0..6_usize) {
        let mut run = Run::from_plans(scenario.plans.clone()).unwrap();
        apply(&mut run, Event::Begin).unwrap();
        let ready: Vec<usize> =
            (0..run.tasks().len()).filter(|&place| run.tasks()[place].state == TaskState::Ready).take(starts).collect();
        let mut started = Vec::new();
        for &task in &ready {
            if let Some(items) = scenario.scripts[task].items {
                let expanded = expansion(&run, task, items);
                apply(&mut run, expanded).unwrap();
                // One of its instances runs when the cancellation comes, the others wait.
                let Some(first) = run.instances_of(task).map(|places| places.start) else { continue };
                apply(&mut run, Event::Started { task: first }).unwrap();
                started.push(first);
            } else {
                apply(&mut run, Event::Started { task }).unwrap();
                started.push(task);
            }
        }
        let waiting: Vec<usize> =
            (0..run.tasks().len()).filter(|&place| run.tasks()[place].state == TaskState::Ready).collect();
        apply(&mut run, Event::Cancelled { reason: "by hand".to_owned() }).unwrap();
        for task in waiting {
            let before = run.clone();
            let expanded = expansion(&run, task, 2);
            prop_assert!(apply(&mut run, expanded).is_err());
            let started = apply(&mut run, Event::Started { task });
            prop_assert!(started.is_err());
            prop_assert_eq!(&run, &before);
        }
        for (number, &task) in started.iter().enumerate() {
            let event = match number % 3 {
                0 => Event::Stopped { task, attempt: 1 },
                1 => Event::Succeeded { task, attempt: 1 },
                _ => Event::Failed { task, attempt: 1, retryable: true },
            };
            apply(&mut run, event).unwrap();
        }
        prop_assert!(run.tasks().iter().all(|task| task.state.is_end()));
        prop_assert_ne!(run.status(), RunStatus::Running);
    }
}
