// SPDX-License-Identifier: Apache-2.0
//! A package in a list.

use registry_schema::api::{PackageSummary, SignatureState};

use super::format::{self, Mark, Moment};

/// One row of a list of packages.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) summary: String,
    pub(super) hooks: Vec<String>,
    pub(super) licence: String,
    pub(super) signature: SignatureState,
    /// Pulls and stars, where there are any.
    pub(super) numbers: Vec<String>,
    pub(super) published: Moment,
    pub(super) yanked: bool,
    pub(super) deprecated: bool,
}

fn numbers(package: &PackageSummary) -> Vec<String> {
    let all = [(package.pulls, "pull"), (package.stars, "star")];
    let some = all.into_iter().filter(|(number, _)| *number > 0);
    some.map(|(number, word)| format::count(number, word))
        .collect()
}

impl Row {
    pub(super) fn mark(&self) -> Mark {
        self.signature.into()
    }
}

impl From<PackageSummary> for Row {
    fn from(package: PackageSummary) -> Self {
        Self {
            numbers: numbers(&package),
            name: package.name.to_string(),
            version: package.version.to_string(),
            summary: package.summary,
            hooks: package.program_types,
            licence: package.license,
            signature: package.signature,
            published: package.published_at.into(),
            yanked: package.yanked,
            deprecated: package.deprecated.is_some(),
        }
    }
}
