// SPDX-License-Identifier: Apache-2.0
//! What a rule is for.

use std::fmt;

use serde::Serialize;

use crate::{Namespace, PackageName};

/// What a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything.
    Everything,
    /// A registry.
    Registry(String),
    /// A namespace, of one registry or of all.
    Namespace(Option<String>, Namespace),
    /// A package, of one registry or of all.
    Package(Option<String>, PackageName),
}

impl Scope {
    pub(super) fn covers(&self, registry: &str, package: &PackageName) -> bool {
        let here = |wanted: &Option<String>| wanted.as_ref().is_none_or(|host| host == registry);
        match self {
            Self::Everything => true,
            Self::Registry(host) => host == registry,
            Self::Namespace(host, namespace) => here(host) && namespace == package.namespace(),
            Self::Package(host, wanted) => here(host) && wanted == package,
        }
    }

    /// Larger for smaller parts. A named registry makes a part smaller, but never smaller
    /// than a package or namespace does.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Everything => 0,
            Self::Registry(_) => 1,
            Self::Namespace(None, _) => 2,
            Self::Namespace(Some(_), _) => 3,
            Self::Package(None, _) => 4,
            Self::Package(Some(_), _) => 5,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Registry(host) => write!(f, "registry {host}"),
            Self::Namespace(None, namespace) => write!(f, "namespace {namespace}"),
            Self::Namespace(Some(host), namespace) => write!(f, "namespace {host}/{namespace}"),
            Self::Package(None, package) => write!(f, "package {package}"),
            Self::Package(Some(host), package) => write!(f, "package {host}/{package}"),
        }
    }
}
