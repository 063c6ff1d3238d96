// SPDX-License-Identifier: Apache-2.0
//! References for the lines that run, check and copy a version. The lines themselves are data
//! of the template.

use registry_schema::api::VersionDetail;
use registry_schema::manifest::Program;

use crate::http::web::Layout;

/// What the lines are made of.
pub(super) struct Run {
    /// Host, package, version and digest.
    pub(super) reference: String,
    /// Host, package and digest: for tools that know no version beside a digest.
    pub(super) by_digest: String,
    /// Hooks whose chains can hold one of the programs.
    pub(super) hooks: Vec<&'static str>,
    /// The package in a node's declarative configuration.
    pub(super) node_config: String,
}

impl Run {
    pub(super) fn new(layout: &Layout, version: &VersionDetail) -> Self {
        let (host, name, digest) = (&layout.host, &version.name, &version.summary.digest);
        let reference = format!("{host}/{name}:{}@{digest}", version.summary.version);
        let mut hooks: Vec<&'static str> = Vec::new();
        for hook in version.manifest.programs.iter().flat_map(Program::hooks) {
            if !hooks.contains(&hook.as_str()) {
                hooks.push(hook.as_str());
            }
        }
        let node_config = match hooks.first() {
            Some(hook) => format!(
                "[[chain]]\ninterface = \"eth0\"\nhook = \"{hook}\"\n\n[[chain.program]]\npackage = \"{reference}\""
            ),
            None => format!("[[probe]]\npackage = \"{reference}\""),
        };
        Self {
            by_digest: format!("{host}/{name}@{digest}"),
            reference,
            hooks,
            node_config,
        }
    }
}
