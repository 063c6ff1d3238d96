// SPDX-License-Identifier: Apache-2.0
//! Background work. Each job is idempotent, runs at its interval until the registry stops,
//! and on one replica at a time: who runs it holds its row in the database.
//!
//! A new job is a file with a function `job() -> Job`, and a line in [`all`].

pub mod gc;
pub mod log;
pub mod ownership;
pub mod pending;
pub mod retention;
pub mod revocation;
pub mod scrub;
pub mod tokens;
pub mod uploads;
pub mod webhooks;

use std::{pin::Pin, time::Duration};

use chrono::TimeDelta;
use tokio::sync::watch;

use crate::{app::App, service::ServiceError, store};

/// How long a replica that died keeps a job from the others.
const CLAIM: TimeDelta = TimeDelta::seconds(60);
/// How often the one who runs a job says that it still does.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Longest pause between two looks at whether a job is due.
const LOOK: Duration = Duration::from_secs(30);

/// What a job does, once.
pub type Work = Pin<Box<dyn Future<Output = Result<(), ServiceError>> + Send>>;

/// Work that comes round again.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// Its name, unique and for ever: the key of its row.
    pub name: &'static str,
    /// The time from the end of one run to the start of the next.
    pub every: Duration,
    /// What to do.
    pub work: fn(App) -> Work,
}

/// Every job of the registry.
pub fn all(_app: &App) -> Vec<Job> {
    vec![
        uploads::job(),
        retention::job(),
        tokens::job(),
        gc::job(),
        scrub::job(),
        webhooks::job(),
        revocation::job(),
        log::job(),
        pending::job(),
        ownership::job(),
    ]
}

/// Runs all jobs until told to stop. What is running then is given up where it waits.
pub async fn run(app: App, stop: watch::Receiver<bool>) {
    let loops = all(&app)
        .into_iter()
        .map(|job| repeat(app.clone(), job, stop.clone()));
    let others = notice_others(&app, stop.clone());
    futures::future::join(futures::future::join_all(loops), others).await;
}

/// Keeps an eye on what other processes write, until told to stop.
async fn notice_others(app: &App, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            done = app.db.notice_others() => match done {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "writes of other processes may go unnoticed"),
            },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn repeat(app: App, job: Job, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = match due_in(&app, job).await {
            Ok(Duration::ZERO) => match once(&app, job, stop.clone()).await {
                Ok(_) => job.every.min(LOOK),
                Err(error) => failed(job, &error),
            },
            Ok(pause) => pause.min(LOOK),
            Err(error) => failed(job, &error),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn failed(job: Job, error: &ServiceError) -> Duration {
    tracing::warn!(job = job.name, %error, "job failed");
    job.every.min(LOOK)
}

/// How long until the job is due; zero if it is, or was never known.
async fn due_in(app: &App, job: Job) -> Result<Duration, ServiceError> {
    let Some(found) = store::jobs::find(&app.db, job.name).await? else {
        return Ok(Duration::ZERO);
    };
    let now = app.clock.now();
    let at = found.next_at.max(found.held_until.unwrap_or(now));
    Ok((at - now).to_std().unwrap_or_default())
}

/// Runs a job now, due or not; `false` if another replica is running it.
///
/// # Errors
/// What the job says; [`ServiceError::Store`].
pub async fn once(
    app: &App,
    job: Job,
    mut stop: watch::Receiver<bool>,
) -> Result<bool, ServiceError> {
    let Some(claim) = Claim::take(app, job.name).await? else {
        return Ok(false);
    };
    // A task of its own, so that a panic ends this run and not all of them.
    let mut task = tokio::spawn((job.work)(app.clone()));
    let outcome = tokio::select! {
        joined = &mut task => joined.unwrap_or(Err(ServiceError::Unavailable("a job failed; the log says why"))),
        lost = claim.keep() => lost,
        _ = stop.wait_for(|stop| *stop) => Err(ServiceError::Unavailable("the registry is stopping")),
    };
    task.abort();
    claim.release(job.every, &outcome).await?;
    outcome.map(|()| true)
}

/// The right to run a job, as long as it is kept up.
pub struct Claim<'a> {
    app: &'a App,
    name: &'static str,
    holder: String,
}

impl<'a> Claim<'a> {
    /// Takes the job called `name`; `None` while somebody else has it. Who must keep a job
    /// from running, as a backup the collection of garbage, takes its claim too.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn take(app: &'a App, name: &'static str) -> Result<Option<Self>, ServiceError> {
        let now = app.clock.now();
        let holder = app.random.id(now).to_string();
        let mut tx = app.db.begin().await?;
        store::jobs::insert(&mut tx, name, now).await?;
        let taken = store::jobs::claim(&mut tx, name, &holder, now + CLAIM, now).await?;
        tx.commit().await?;
        Ok(taken.then_some(Self { app, name, holder }))
    }

    /// Keeps the claim up for as long as it is polled.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] when the claim was lost; [`ServiceError::Store`].
    pub async fn keep(&self) -> Result<(), ServiceError> {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let until = self.app.clock.now() + CLAIM;
            let mut tx = self.app.db.begin().await?;
            let kept = store::jobs::extend(&mut tx, self.name, &self.holder, until).await?;
            tx.commit().await?;
            if !kept {
                return Err(ServiceError::Unavailable("another replica took the job"));
            }
        }
    }

    /// Does the work of whoever holds the claim, and keeps it up meanwhile.
    ///
    /// # Errors
    /// Those of the work; [`ServiceError::Unavailable`] when the claim was lost.
    pub async fn during<T, E: From<ServiceError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            done = work => done,
            lost = self.keep() => match lost {
                Ok(()) => unreachable!("a claim is kept until it is lost"),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Gives the job back, due again after `every`.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn release<T, E: ToString>(
        self,
        every: Duration,
        outcome: &Result<T, E>,
    ) -> Result<(), ServiceError> {
        let now = self.app.clock.now();
        let next = now + TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
        let failure = outcome.as_ref().err().map(E::to_string);
        let mut tx = self.app.db.begin().await?;
        store::jobs::release(
            &mut tx,
            self.name,
            &self.holder,
            next,
            now,
            failure.as_deref(),
        )
        .await?;
        Ok(tx.commit().await?)
    }
}
