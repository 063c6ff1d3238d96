// SPDX-License-Identifier: Apache-2.0
//! Stories of publishers and users, told through the real command.

mod accounts;
mod archive;
mod ci;
mod copying;
mod gate;
mod home;
mod input;
mod instance;
mod keyless;
mod keys;
mod liar;
mod lies;
mod log;
mod mirror;
mod oci_client;
mod packing;
mod publish;
mod several;
mod signing;
mod stage;
mod trust;
