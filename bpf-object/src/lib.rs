// SPDX-License-Identifier: Apache-2.0
//! eBPF objects: reading, judging, normalising and weaving them.
//!
//! Pure functions over bytes that come from strangers: no input makes them
//! panic, allocate without bound, or touch anything outside.
#![forbid(unsafe_code)]

mod btf;
mod bytes;
mod effect;
mod elf;
mod error;
pub mod finding;
pub mod helpers;
mod insn;
pub mod inspect;
mod kernel_floor;
pub mod licence;
pub mod limits;
mod map;
pub mod normalise;
mod object;
mod privilege;
mod reach;
mod rewrite;
mod section;
mod sound;
pub mod weave;

pub use error::ObjectError;
pub use finding::check;
pub use inspect::inspect;
pub use normalise::{NormaliseError, normalise};
pub use weave::{Weave, WeaveError, Woven, weave};
