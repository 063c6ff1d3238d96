// SPDX-License-Identifier: Apache-2.0
//! Work inside another network namespace: on a thread of its own that ends with it,
//! so that no other thread of the daemon ever leaves the daemon's namespace.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

use nix::sched::{CloneFlags, setns};

/// Runs `work` in the namespace that `netns` stands for; without one, right here.
///
/// # Errors
/// What opening or entering the namespace reports; `work` has not run then.
pub(crate) fn within<T: Send>(
    netns: Option<&Path>,
    work: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    let Some(path) = netns else { return Ok(work()) };
    let file = File::open(path)?;
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(&file, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
            Ok(work())
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
