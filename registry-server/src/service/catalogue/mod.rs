// SPDX-License-Identifier: Apache-2.0
//! The catalogue: which packages there are, what is known of them, and who stars them.
//!
//! JSON and pages show what these functions return, so both always say the same.

mod listing;
mod read;
mod star;

pub use listing::{Listing, most_pulled, reconcile, search};
pub use read::{package, version};
pub use star::{give, stars, take_back};
