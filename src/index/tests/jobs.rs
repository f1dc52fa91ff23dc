//! The queue: what is asked for twice is done once, what is claimed is one worker's, what fails comes back.

use std::time::Duration;

use super::world::{World, access};
use crate::auth::Scope;
use crate::error::Kind;
use crate::index::jobs::{Claimed, JobCursor, JobRow, MAX_ATTEMPTS, Wanted};
use crate::model::job::{Job, Next};
use crate::model::{Clock, FacilityId, JobState};

const LEASE: Duration = Duration::from_mins(1);

/// A world whose clock the test moves.
async fn world() -> (World, Clock) {
    let clock = super::world::clock();
    (World::with(clock.clone()).await, clock)
}

async fn ask(world: &World, clock: &Clock, job: Job) {
    let due_at = clock.now();
    world
        .index
        .enqueue(None, &Next { job, due_at })
        .await
        .unwrap();
}

async fn claim(world: &World) -> Vec<Claimed> {
    world.index.claim(10, LEASE).await.unwrap()
}

/// All jobs, newest first.
async fn jobs(world: &World) -> Vec<JobRow> {
    let manager = super::world::person_of("F001", &[Scope::LifecycleManage]);
    let catalog = world.index.catalog(&manager);
    catalog.jobs(&Wanted::default(), 100).await.unwrap()
}

#[tokio::test]
async fn asked_twice_is_done_once_and_later() {
    let (world, clock) = world().await;
    ask(&world, &clock, Job::Expire).await;
    clock.advance_s(5);
    ask(&world, &clock, Job::Expire).await;
    let rows = jobs(&world).await;
    assert_eq!((rows.len(), rows[0].due_at), (1, clock.now()));

    let claimed = claim(&world).await;
    assert_eq!((claimed.len(), &claimed[0].job), (1, &Job::Expire));
    ask(&world, &clock, Job::Expire).await;
    assert_eq!(
        jobs(&world).await.len(),
        2,
        "what runs may have begun too early"
    );
}

#[tokio::test]
async fn recurring_work_is_there_once_and_goes_on() {
    let (world, clock) = world().await;
    for _ in 0..2 {
        world.index.enqueue_recurring().await.unwrap();
    }
    let kinds = Job::recurring().len();
    assert_eq!(jobs(&world).await.len(), kinds);
    let claimed = claim(&world).await;
    world.index.enqueue_recurring().await.unwrap();
    assert_eq!(jobs(&world).await.len(), kinds, "it is running");
    clock.advance_s(1);
    for held in &claimed {
        let due_at = clock.now();
        let next = Next {
            job: held.job.clone(),
            due_at,
        };
        assert!(world.index.finish(held, "done", Some(&next)).await.unwrap());
    }
    let rows = jobs(&world).await;
    let due = rows.iter().filter(|row| row.state == JobState::Due);
    assert_eq!((due.count(), rows.len()), (kinds, 2 * kinds));
}

#[tokio::test]
async fn nothing_is_handed_out_twice_and_nothing_before_its_time() {
    let (world, clock) = world().await;
    let due_at = clock.now();
    clock.advance_s(-10);
    let next = Next {
        job: Job::Expire,
        due_at,
    };
    world.index.enqueue(None, &next).await.unwrap();
    assert_eq!(world.index.next_due().await.unwrap(), Some(due_at));
    assert_eq!(claim(&world).await.len(), 0);
    clock.advance_s(10);
    let (one, other) = tokio::join!(world.index.claim(10, LEASE), world.index.claim(10, LEASE));
    assert_eq!(one.unwrap().len() + other.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lease_that_ends_gives_the_job_to_the_next_and_the_first_has_no_say() {
    let (world, clock) = world().await;
    ask(&world, &clock, Job::Expire).await;
    let first = claim(&world).await.remove(0);
    clock.advance_s(50);
    assert!(world.index.renew(&first, LEASE).await.unwrap());
    clock.advance_s(50);
    assert_eq!(claim(&world).await.len(), 0, "it was renewed");
    clock.advance_s(10);
    let second = claim(&world).await.remove(0);
    assert_eq!((second.id, second.attempts), (first.id, 2));
    assert!(!world.index.renew(&first, LEASE).await.unwrap());
    assert!(!world.index.finish(&first, "late", None).await.unwrap());
    assert_eq!(world.index.retry(&first, "late").await.unwrap(), None);
    assert!(world.index.finish(&second, "done", None).await.unwrap());
    let rows = jobs(&world).await;
    assert_eq!(rows[0].result.as_deref(), Some("done"));
}

#[tokio::test]
async fn what_fails_comes_back_later_each_time_until_it_is_dead_and_can_be_restarted() {
    let (world, clock) = world().await;
    ask(&world, &clock, Job::Expire).await;
    let mut last = 0;
    for attempt in 1..=4 {
        let claimed = claim(&world).await.remove(0);
        assert_eq!(claimed.attempts, attempt);
        let due_at = world
            .index
            .retry(&claimed, "the store is away")
            .await
            .unwrap();
        let pause = due_at.unwrap().0 - clock.now().0;
        assert!(pause > last, "{pause} after {last}");
        last = pause;
        assert_eq!(claim(&world).await.len(), 0);
        clock.advance_s(pause / 1_000_000 + 1);
    }
    let claimed = claim(&world).await.remove(0);
    assert!(
        world
            .index
            .bury(&claimed, "the store is gone", None)
            .await
            .unwrap()
    );
    let dead = jobs(&world).await.remove(0);
    assert_eq!((dead.state, dead.attempts), (JobState::Dead, 5));
    assert_eq!(dead.result.as_deref(), Some("the store is gone"));
    assert_eq!(claim(&world).await.len(), 0);

    let manager = super::world::person_of("F001", &[Scope::LifecycleManage]);
    let catalog = world.index.catalog(&manager);
    let again = catalog.restart_job(dead.id).await.unwrap();
    assert_eq!((again.state, again.attempts), (JobState::Due, 0));
    let refused = catalog.restart_job(dead.id).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert_eq!(claim(&world).await.len(), 1);
}

#[tokio::test]
async fn a_job_that_ends_its_worker_each_time_is_dead_in_the_end() {
    let (world, clock) = world().await;
    ask(&world, &clock, Job::Expire).await;
    for _ in 0..MAX_ATTEMPTS {
        assert_eq!(claim(&world).await.len(), 1);
        clock.advance_s(61);
    }
    assert_eq!(claim(&world).await.len(), 0);
    assert_eq!(jobs(&world).await[0].state, JobState::Dead);
}

#[tokio::test]
async fn what_was_asked_for_again_meanwhile_goes_on_in_the_newer_row() {
    let (world, clock) = world().await;
    ask(&world, &clock, Job::Expire).await;
    let held = claim(&world).await.remove(0);
    ask(&world, &clock, Job::Expire).await;
    world.index.retry(&held, "the store is away").await.unwrap();
    let held = claim(&world).await.remove(0);
    ask(&world, &clock, Job::Expire).await;
    world.index.give_back(&held).await.unwrap();
    let held = claim(&world).await.remove(0);
    assert!(world.index.bury(&held, "broken", None).await.unwrap());
    ask(&world, &clock, Job::Expire).await;
    let manager = super::world::person_of("F001", &[Scope::LifecycleManage]);
    let restarted = world.index.catalog(&manager).restart_job(held.id).await;
    assert_eq!(restarted.unwrap().state, JobState::Done);
    let states: Vec<_> = jobs(&world).await.iter().map(|row| row.state).collect();
    let of = |state| states.iter().filter(|other| **other == state).count();
    assert_eq!((of(JobState::Due), of(JobState::Done)), (1, 3));
}

#[tokio::test]
async fn a_job_given_back_is_due_at_once_and_was_not_tried() {
    let (world, clock) = world().await;
    ask(&world, &clock, Job::Expire).await;
    let held = claim(&world).await.remove(0);
    world.index.give_back(&held).await.unwrap();
    assert_eq!(claim(&world).await.remove(0).attempts, 1);
}

#[tokio::test]
async fn done_jobs_go_after_seven_days_and_dead_ones_stay() {
    let (world, clock) = world().await;
    ask(&world, &clock, Job::Expire).await;
    let held = claim(&world).await.remove(0);
    world.index.finish(&held, "done", None).await.unwrap();
    ask(&world, &clock, Job::Expire).await;
    let held = claim(&world).await.remove(0);
    world.index.bury(&held, "broken", None).await.unwrap();
    clock.advance_s(7 * 86_400);
    assert_eq!(world.index.expire_jobs().await.unwrap(), 0);
    clock.advance_s(1);
    assert_eq!(world.index.expire_jobs().await.unwrap(), 1);
    assert_eq!(jobs(&world).await[0].state, JobState::Dead);
}

#[tokio::test]
async fn sh_2_5_jobs_are_shown_to_those_who_may_and_paged() {
    let (world, clock) = world().await;
    let (own, foreign) = (world.facility("F001").await, world.facility("F002").await);
    let of = async |facility: Option<FacilityId>| {
        let due_at = clock.now();
        let next = Next {
            job: Job::Expire,
            due_at,
        };
        world.index.enqueue(facility, &next).await.unwrap();
        let held = claim(&world).await.remove(0);
        world.index.finish(&held, "done", None).await.unwrap();
    };
    for facility in [None, Some(own.id), Some(foreign.id), Some(own.id)] {
        of(facility).await;
    }
    let seen = async |scopes: &[Scope]| {
        let access = access(&own, scopes);
        let catalog = world.index.catalog(&access);
        let counted = catalog.job_counts().await.map_err(|e| e.kind())?;
        let listed = catalog.jobs(&Wanted::default(), 100).await;
        let listed = listed.map_err(|e| e.kind())?.len();
        assert_eq!(
            counted.iter().map(|it| it.count).sum::<u64>(),
            listed as u64
        );
        Ok(listed)
    };
    assert_eq!(seen(&[Scope::LifecycleManage]).await, Ok(4));
    assert_eq!(seen(&[Scope::LifecycleRead]).await, Ok(2));
    assert_eq!(seen(&[Scope::AuditReadOwn]).await, Err(Kind::Forbidden));
    assert_eq!(seen(super::world::ALL).await, Err(Kind::NotFound));

    let manager = access(&own, &[Scope::LifecycleManage]);
    let catalog = world.index.catalog(&manager);
    let (mut wanted, mut paged) = (Wanted::default(), Vec::new());
    loop {
        let page = catalog.jobs(&wanted, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        wanted.after = JobCursor::parse(&last.cursor().to_string());
        assert!(wanted.after.is_some());
        paged.extend(page.iter().map(|row| row.id));
    }
    let whole: Vec<_> = jobs(&world).await.iter().map(|row| row.id).collect();
    assert_eq!(paged, whole);
    let wanted = Wanted {
        state: Some(JobState::Dead),
        ..Wanted::default()
    };
    assert_eq!(catalog.jobs(&wanted, 3).await.unwrap(), []);
}
