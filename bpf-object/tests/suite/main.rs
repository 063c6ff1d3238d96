// SPDX-License-Identifier: Apache-2.0
//! Objects as clang makes them, and as nobody should: read, judged, normalised,
//! woven, loaded and run.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod finding;
mod hostile;
mod inspect;
mod normalise;
mod privilege;
mod support;
mod weave;
