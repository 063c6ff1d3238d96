// SPDX-License-Identifier: Apache-2.0
//! What the tests and the bench of the packages share; no program is in here.
//!
//! Everything panics with a sentence instead of returning an error: its only
//! callers are tests, and a test that cannot run must fail, never be skipped.

pub mod chain;
pub mod namespace;
pub mod object;
pub mod packet;
