// SPDX-License-Identifier: Apache-2.0
//! Whether everything that the database says is true: every row leads somewhere, and the
//! bytes behind it are there, in the right number. Whether they are the right bytes is the
//! question of the [scrub](super::scrub).

use futures::StreamExt;
use serde::Serialize;

use super::ServiceError;
use crate::{
    app::App,
    store::{self, contents::State},
};

/// Rows read at a time.
const BATCH: i64 = 500;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its kind, a stable word.
    pub kind: &'static str,
    /// What has it: `repository:tag`, `repository@digest`, or a digest.
    pub subject: String,
    /// A sentence.
    pub message: String,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Manifests whose bytes were hashed.
    pub manifests: u64,
    /// Contents whose bytes were measured.
    pub contents: u64,
    /// Their bytes.
    pub content_bytes: u64,
    /// Bytes of crashed pushes that nothing refers to; the collection of garbage takes them.
    pub leftovers: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Report {
    fn problem(&mut self, kind: &'static str, subject: &impl ToString, message: String) {
        let subject = subject.to_string();
        self.problems.push(Problem {
            kind,
            subject,
            message,
        });
    }
}

/// Looks at everything; changes nothing. The registry may run meanwhile: what looks wrong
/// is looked at twice.
///
/// # Errors
/// [`ServiceError::Store`], [`ServiceError::Blob`] if database or blob store do not answer.
pub async fn run(app: &App) -> Result<Report, ServiceError> {
    let mut report = Report::default();
    for (kind, words, row) in store::integrity::dangling(&app.db).await? {
        let message = format!("{} {words} {}, which is not there", row.subject, row.target);
        report.problem(kind, &row.subject, message);
    }
    manifests(app, &mut report).await?;
    contents(app, &mut report).await?;
    leftovers(app, &mut report).await?;
    Ok(report)
}

async fn manifests(app: &App, report: &mut Report) -> Result<(), ServiceError> {
    let mut last = (String::new(), String::new());
    loop {
        let found = store::integrity::bodies(&app.db, (&last.0, &last.1), BATCH / 10).await?;
        let Some((repository, digest, _)) = found.last() else {
            return Ok(());
        };
        last = (repository.to_string(), digest.to_string());
        for (repository, digest, body) in &found {
            report.manifests += 1;
            if let Err(error) = digest.check(body) {
                let subject = format!("{repository}@{digest}");
                report.problem(
                    "manifest-damaged",
                    &subject,
                    format!("the manifest {error}"),
                );
            }
        }
    }
}

async fn contents(app: &App, report: &mut Report) -> Result<(), ServiceError> {
    let mut last = String::new();
    loop {
        let found = store::contents::list(&app.db, &last, BATCH).await?;
        let Some(end) = found.last() else {
            return Ok(());
        };
        last = end.digest.to_string();
        for content in found {
            let digest = &content.digest;
            report.contents += 1;
            report.content_bytes += content.size_bytes;
            if content.state == State::Damaged {
                let message =
                    format!("{digest} is damaged; push it again, or scrub with --repair-from");
                report.problem("content-damaged", digest, message);
                continue;
            }
            let actual = app.blobs.size(digest).await?;
            if actual == Some(content.size_bytes) {
                continue;
            }
            // It may have been collected since its row was read.
            let now = store::contents::find(&app.db, digest).await?;
            if now.is_none_or(|now| now.state != State::Present) {
                continue;
            }
            let (kind, message) = match actual {
                None => (
                    "content-missing",
                    format!("the bytes of {digest} are not there"),
                ),
                Some(actual) => (
                    "content-size",
                    format!(
                        "{digest} has {actual} bytes instead of {}",
                        content.size_bytes
                    ),
                ),
            };
            report.problem(kind, digest, message);
        }
    }
}

async fn leftovers(app: &App, report: &mut Report) -> Result<(), ServiceError> {
    let mut entries = app.blobs.list();
    while let Some(entry) = entries.next().await {
        let known = store::contents::find(&app.db, &entry?.digest).await?;
        if known.is_none_or(|content| content.state == State::Removed) {
            report.leftovers += 1;
        }
    }
    Ok(())
}
