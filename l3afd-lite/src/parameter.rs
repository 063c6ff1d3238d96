// SPDX-License-Identifier: Apache-2.0
//! From what the operator wrote to the bytes of globals and map entries.

use std::collections::BTreeMap;

use registry_schema::PackageName;
use registry_schema::manifest::{ManifestError, PackageManifest, Parameter, ParameterValue};
use registry_schema::profile::ObjectProfile;

use crate::load::MapEntries;

/// Values ready to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Read-only globals by name, in the width the object gives them.
    pub globals: Vec<(String, Vec<u8>)>,
    /// Entries of maps.
    pub entries: Vec<MapEntries>,
}

/// Why parameters cannot be set.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ParameterError {
    /// The package has no such parameter.
    #[error("{package} has no parameter `{name}`; {known}")]
    Unknown {
        package: PackageName,
        name: String,
        known: String,
    },
    /// A value has the wrong type or is out of range.
    #[error("{package}: {reason}")]
    Value {
        package: PackageName,
        reason: Box<ManifestError>,
    },
    /// A value is wider than the variable it belongs into.
    #[error(
        "{package}: parameter `{name}` has {actual} bytes, but global `{global}` of the object has {size}"
    )]
    Width {
        package: PackageName,
        name: String,
        global: String,
        actual: usize,
        size: usize,
    },
}

/// Encodes `values`, and the defaults of what they leave out.
///
/// # Errors
/// [`ParameterError`] with the name, the value and what is allowed.
pub fn settings(
    manifest: &PackageManifest,
    profile: &ObjectProfile,
    values: &BTreeMap<String, ParameterValue>,
) -> Result<Settings, ParameterError> {
    let package = &manifest.package.name;
    let known = |name: &str| {
        manifest
            .parameters
            .iter()
            .any(|parameter| parameter.name == name)
    };
    if let Some(name) = values.keys().find(|name| !known(name)) {
        let names: Vec<_> = manifest
            .parameters
            .iter()
            .map(|p| format!("`{}`", p.name))
            .collect();
        let known = if names.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has {}", names.join(", "))
        };
        return Err(ParameterError::Unknown {
            package: package.clone(),
            name: name.clone(),
            known,
        });
    }
    let mut settings = Settings::default();
    for parameter in &manifest.parameters {
        let Some(value) = values.get(&parameter.name).or(parameter.default.as_ref()) else {
            continue;
        };
        let encoded = parameter
            .encode(value)
            .map_err(|reason| ParameterError::Value {
                package: package.clone(),
                reason: Box::new(reason),
            })?;
        add(&mut settings, package, profile, parameter, encoded)?;
    }
    Ok(settings)
}

fn add(
    settings: &mut Settings,
    package: &PackageName,
    profile: &ObjectProfile,
    parameter: &Parameter,
    encoded: Vec<Vec<u8>>,
) -> Result<(), ParameterError> {
    if let Some(global) = &parameter.global
        && let Some(mut value) = encoded.first().cloned()
    {
        let declared = profile
            .globals
            .iter()
            .find(|candidate| candidate.name == *global);
        let size = declared.map_or(value.len(), |declared| declared.size as usize);
        if value.iter().skip(size).any(|byte| *byte != 0) {
            return Err(ParameterError::Width {
                package: package.clone(),
                name: parameter.name.clone(),
                global: global.clone(),
                actual: value.len(),
                size,
            });
        }
        value.resize(size, 0);
        settings.globals.push((global.clone(), value));
    }
    let Some(map) = &parameter.map else {
        return Ok(());
    };
    let number = |number: u64| number.to_le_bytes().to_vec();
    let entries: Vec<_> = match map.key {
        Some(key) => encoded
            .into_iter()
            .map(|value| (number(key), value))
            .collect(),
        None => encoded
            .into_iter()
            .map(|key| (key, number(map.value.unwrap_or(1))))
            .collect(),
    };
    // Keys that a list does not name must go; a single value shares its map with others.
    settings.entries.push(MapEntries {
        map: map.name.clone(),
        entries,
        only: map.key.is_none(),
    });
    Ok(())
}
