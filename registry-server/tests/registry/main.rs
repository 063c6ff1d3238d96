// SPDX-License-Identifier: Apache-2.0
//! The registry's stories, told through its port. One binary, because linking it is what
//! takes time.

mod support;

mod accounts;
mod architecture;
mod audit;
mod auth;
mod backup;
mod blobs;
mod bucket;
mod catalogue;
mod certificates;
mod crash;
mod engines;
mod faults;
mod gc;
mod hostile;
mod integrity;
mod jobs;
mod lifecycle;
mod log;
mod manifests;
mod matrix;
mod oidc;
mod openapi;
mod operations;
mod ownership;
mod pending;
mod races;
mod referrers;
mod replicas;
mod secrets;
mod shared_cache;
mod signatures;
mod signers;
mod tags;
mod tokens;
mod trust;
mod uploads;
mod versions;
mod visits;
mod webhooks;
