// SPDX-License-Identifier: Apache-2.0
//! Background work: one replica at a time, again and again, and through failures.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use registry_server::{
    app::App,
    clock::{Clock, Random},
    job::{self, Claim, Job},
    service::ServiceError,
    store,
};
use tokio::sync::watch;

use crate::support::TestRegistry;

/// Another replica on the same database.
async fn replica(registry: &TestRegistry) -> App {
    let config = registry.app.config.clone();
    let (clock, random) = (registry.app.clock.clone(), Random::system());
    let addr = ([127, 0, 0, 1], 1).into();
    registry_server::open(config, addr, Clock::from_fn(move || clock.now()), random)
        .await
        .expect("a replica")
        .0
}

#[tokio::test]
async fn a_job_runs_on_one_replica_at_a_time() {
    static RUNNING: AtomicU32 = AtomicU32::new(0);
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let job = Job {
        name: "test-once",
        every: Duration::from_hours(1),
        work: |_| {
            Box::pin(async {
                assert_eq!(RUNNING.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                tokio::task::yield_now().await;
                RUNNING.fetch_sub(1, Ordering::SeqCst);
                RUNS.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        },
    };
    let registry = TestRegistry::start().await;
    let other = replica(&registry).await;
    let (_stop, stopped) = watch::channel(false);
    let apps = [&registry.app, &other];
    let runs = (0..20).map(|at: usize| job::once(apps[at % 2], job, stopped.clone()));
    let outcomes = futures::future::join_all(runs).await;
    let done = outcomes.iter().filter(|done| matches!(done, Ok(true)));
    assert_eq!(
        done.count(),
        usize::try_from(RUNS.load(Ordering::SeqCst)).expect("few")
    );
    assert!(RUNS.load(Ordering::SeqCst) >= 1);
    let row = store::jobs::find(&other.db, job.name)
        .await
        .expect("a row")
        .expect("a row");
    assert_eq!((row.held_until, row.failure), (None, None));
    assert_eq!(
        row.next_at,
        registry.app.clock.now() + chrono::Duration::hours(1)
    );
}

#[tokio::test]
async fn a_job_of_a_dead_replica_is_taken_over() {
    let registry = TestRegistry::start().await;
    let other = replica(&registry).await;
    let dead = Claim::take(&registry.app, "test-dead")
        .await
        .expect("a claim");
    assert!(dead.is_some());
    assert!(
        Claim::take(&other, "test-dead")
            .await
            .expect("an answer")
            .is_none()
    );
    registry.later(chrono::Duration::seconds(61));
    let taken = Claim::take(&other, "test-dead").await.expect("an answer");
    let taken = taken.expect("the claim has run out");
    // The one who was only slow cannot give back what is no longer its own.
    let dead = dead.expect("a claim");
    dead.release(Duration::ZERO, &Ok::<_, ServiceError>(()))
        .await
        .expect("nothing happens");
    assert!(
        Claim::take(&registry.app, "test-dead")
            .await
            .expect("an answer")
            .is_none()
    );
    taken
        .release(Duration::ZERO, &Ok::<_, ServiceError>(()))
        .await
        .expect("released");
}

#[tokio::test]
async fn a_job_that_fails_or_panics_says_so_and_comes_round_again() {
    let failing = Job {
        name: "test-fails",
        every: Duration::from_secs(5),
        work: |_| Box::pin(async { Err(ServiceError::Unavailable("it rains")) }),
    };
    let panicking = Job {
        name: "test-panics",
        work: |_| Box::pin(async { panic!("on purpose") }),
        ..failing
    };
    let registry = TestRegistry::start().await;
    let (stop, stopped) = watch::channel(false);
    for (job, reason) in [(failing, "it rains"), (panicking, "the log says why")] {
        let outcome = job::once(&registry.app, job, stopped.clone()).await;
        assert!(outcome.is_err());
        let row = store::jobs::find(&registry.app.db, job.name)
            .await
            .expect("a row");
        let row = row.expect("a row");
        assert_eq!(row.held_until, None);
        assert!(row.failure.expect("a reason").contains(reason));
    }
    // All jobs of the registry end when it stops, and none of them holds it up.
    let running = tokio::spawn(job::run(registry.app.clone(), stopped));
    stop.send_replace(true);
    running.await.expect("a clean end");
}
