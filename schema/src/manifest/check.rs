// SPDX-License-Identifier: Apache-2.0
//! What a manifest must satisfy beyond its types.

use std::collections::BTreeSet;

use super::{Metric, PackageManifest, Parameter, Program, parse::ManifestError};
use crate::hook::{Hook, ProgramType};

const MAX_PROGRAMS: usize = 64;
const MAX_DECLARATIONS: usize = 128;
const MAX_SUMMARY: usize = 200;
const MAX_PRIORITY: u16 = 1000;
/// `BPF_OBJ_NAME_LEN` is 16, but an ELF symbol may be longer; the loader cuts it.
const MAX_SYMBOL: usize = 128;

fn refuse(key: impl Into<String>, value: impl std::fmt::Display, reason: &str) -> ManifestError {
    ManifestError::Value {
        key: key.into(),
        value: crate::digest::shorten(&value.to_string()),
        reason: reason.to_owned(),
    }
}

impl PackageManifest {
    /// Checks limits and contradictions.
    ///
    /// # Errors
    /// [`ManifestError::Value`] or [`ManifestError::Parameter`] with the key, the
    /// value and what is allowed.
    pub fn check(&self) -> Result<(), ManifestError> {
        self.check_package()?;
        self.check_objects()?;
        count("program", self.programs.len(), 1, MAX_PROGRAMS)?;
        count("parameter", self.parameters.len(), 0, MAX_DECLARATIONS)?;
        count("metric", self.metrics.len(), 0, MAX_DECLARATIONS)?;
        count("maps", self.maps.len(), 0, MAX_DECLARATIONS)?;
        unique(
            "program.function",
            self.programs
                .iter()
                .map(|program| program.function.as_str()),
        )?;
        unique(
            "parameter.name",
            self.parameters
                .iter()
                .map(|parameter| parameter.name.as_str()),
        )?;
        unique(
            "metric.name",
            self.metrics.iter().map(|metric| metric.name.as_str()),
        )?;
        self.programs.iter().try_for_each(Program::check)?;
        self.parameters.iter().try_for_each(Parameter::check)?;
        self.metrics.iter().try_for_each(Metric::check)?;
        if let Some(kernel) = &self.kernel
            && let (Some(minimum), Some(maximum)) = (kernel.minimum, kernel.maximum)
            && minimum > maximum
        {
            return Err(refuse(
                "kernel.minimum",
                minimum,
                &format!("is above kernel.maximum {maximum}"),
            ));
        }
        Ok(())
    }

    fn check_package(&self) -> Result<(), ManifestError> {
        let package = &self.package;
        let characters = package.summary.chars().count();
        if package.summary.trim().is_empty() || package.summary.chars().any(char::is_control) {
            return Err(refuse(
                "package.summary",
                &package.summary,
                "must be one line of text",
            ));
        }
        if characters > MAX_SUMMARY {
            let reason = format!("is {characters} characters long; the limit is {MAX_SUMMARY}");
            return Err(refuse("package.summary", &package.summary, &reason));
        }
        spdx::Expression::parse(&package.license).map_err(|error| {
            let reason = format!(
                "is no SPDX licence expression ({}); for instance `GPL-2.0-only OR MIT`",
                error.reason
            );
            refuse("package.license", &package.license, &reason)
        })?;
        for (key, url) in [
            ("package.repository", &package.repository),
            ("package.documentation", &package.documentation),
        ] {
            if let Some(url) = url
                && (!(url.starts_with("https://") || url.starts_with("http://"))
                    || url.len() > 512
                    || url.chars().any(|c| c.is_control() || c.is_whitespace()))
            {
                return Err(refuse(
                    key,
                    url,
                    "must be an http or https address of at most 512 bytes",
                ));
            }
        }
        count("package.keywords", package.keywords.len(), 0, 10)?;
        count("package.categories", package.categories.len(), 0, 5)?;
        package
            .keywords
            .iter()
            .try_for_each(|word| check_word("package.keywords", word))?;
        package
            .categories
            .iter()
            .try_for_each(|word| check_word("package.categories", word))?;
        package
            .readme
            .iter()
            .try_for_each(|path| check_file("package.readme", path))
    }

    fn check_objects(&self) -> Result<(), ManifestError> {
        count("object", self.objects.len(), 1, 16)?;
        unique(
            "object.target",
            self.objects.iter().map(|object| object.target.as_str()),
        )?;
        for object in &self.objects {
            check_file("object.path", &object.path)?;
            let portable = matches!(object.target.as_str(), "bpfel" | "bpfeb");
            let platform = object.target.split_once('/').is_some_and(|(os, arch)| {
                let fits = |part: &str| {
                    !part.is_empty()
                        && part
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
                };
                fits(os) && fits(arch)
            });
            if !(portable || platform) || object.target.len() > 64 {
                let reason = "is no target; use `bpfel`, `bpfeb` or `os/arch`";
                return Err(refuse("object.target", &object.target, reason));
            }
        }
        Ok(())
    }
}

impl Program {
    /// The hooks this program can chain on; empty for types that do not chain.
    pub fn hooks(&self) -> &'static [Hook] {
        match (self.program_type, self.direction) {
            (ProgramType::Xdp, _) => &[Hook::Xdp],
            (ProgramType::Tc, None) => &[Hook::TcIngress, Hook::TcEgress],
            (ProgramType::Tc, Some(super::Direction::Ingress)) => &[Hook::TcIngress],
            (ProgramType::Tc, Some(super::Direction::Egress)) => &[Hook::TcEgress],
            _ => &[],
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        let key = |field: &str| format!("program.{}.{field}", self.function);
        check_symbol("program.function", &self.function)?;
        self.next_map
            .iter()
            .try_for_each(|map| check_symbol(&key("next_map"), map))?;
        if self.direction.is_some() && self.program_type != ProgramType::Tc {
            return Err(refuse(
                key("direction"),
                self.program_type,
                "is no type with a direction; only `tc` is",
            ));
        }
        if self
            .priority
            .is_some_and(|priority| priority > MAX_PRIORITY)
        {
            return Err(refuse(
                key("priority"),
                self.priority.unwrap_or_default(),
                "is above the limit of 1000",
            ));
        }
        if let Some(attach) = &self.attach
            && (attach.is_empty() || attach.len() > 256 || attach.chars().any(char::is_control))
        {
            return Err(refuse(
                key("attach"),
                attach,
                "must be 1 to 256 printable characters",
            ));
        }
        let Some(hook) = self.hooks().first() else {
            return match self.proceed_on.first() {
                Some(verdict) => Err(refuse(
                    key("proceed_on"),
                    verdict,
                    "has no meaning for a type that does not chain",
                )),
                None => Ok(()),
            };
        };
        unique(
            &key("proceed_on"),
            self.proceed_on.iter().map(String::as_str),
        )?;
        match self
            .proceed_on
            .iter()
            .find(|verdict| hook.verdict(verdict).is_none())
        {
            Some(verdict) => {
                let known: Vec<_> = hook.verdicts().iter().map(|(name, _)| *name).collect();
                Err(refuse(
                    key("proceed_on"),
                    verdict,
                    &format!(
                        "is no verdict of {}; use {}",
                        self.program_type,
                        known.join(", ")
                    ),
                ))
            }
            None => Ok(()),
        }
    }
}

impl Parameter {
    fn check(&self) -> Result<(), ManifestError> {
        let key = |field: &str| format!("parameter.{}.{field}", self.name);
        check_word("parameter.name", &self.name)?;
        match (&self.map, &self.global) {
            (Some(map), None) => {
                check_symbol(&key("map.name"), &map.name)?;
                if map.key.is_some() == map.value.is_some() {
                    return Err(refuse(
                        key("map"),
                        &map.name,
                        "needs either `key` (the parameter is that entry's value) or `value` (the parameter is a key)",
                    ));
                }
                if self.many && map.key.is_some() {
                    return Err(refuse(
                        key("many"),
                        self.many,
                        "needs a map with `value`: one key holds one value",
                    ));
                }
            }
            (None, Some(global)) => {
                check_symbol(&key("global"), global)?;
                if self.many {
                    return Err(refuse(
                        key("many"),
                        self.many,
                        "needs a map: a global holds one value",
                    ));
                }
            }
            _ => {
                return Err(refuse(
                    key("map"),
                    &self.name,
                    "needs either `map` or `global`, to say where the value goes",
                ));
            }
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && i128::from(min) > i128::from(max)
        {
            return Err(refuse(key("min"), min, &format!("is above max {max}")));
        }
        self.default
            .as_ref()
            .map_or(Ok(()), |default| self.encode(default).map(|_| ()))
    }
}

impl Metric {
    fn check(&self) -> Result<(), ManifestError> {
        let key = |field: &str| format!("metric.{}.{field}", self.name);
        let fits = |text: &str| {
            text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
                && text.len() <= MAX_SYMBOL
        };
        if !fits(&self.name) {
            return Err(refuse(
                "metric.name",
                &self.name,
                "must be lower-case letters, digits and `_`, and begin with a letter",
            ));
        }
        check_symbol(&key("map.name"), &self.map.name)?;
        if self.map.key.is_some() && !self.map.keys.is_empty() {
            return Err(refuse(
                key("map.keys"),
                &self.map.name,
                "excludes `key`; give one of them",
            ));
        }
        match &self.map.label {
            Some(label) if !fits(label) => Err(refuse(
                key("map.label"),
                label,
                "must be lower-case letters, digits and `_`",
            )),
            None if self.map.key.is_none() => Err(refuse(
                key("map.label"),
                &self.map.name,
                "needs a label that tells its samples apart",
            )),
            _ => Ok(()),
        }
    }
}

fn count(key: &str, actual: usize, least: usize, most: usize) -> Result<(), ManifestError> {
    if (least..=most).contains(&actual) {
        Ok(())
    } else {
        Err(refuse(
            key,
            actual,
            &format!("entries; {least} to {most} are allowed"),
        ))
    }
}

fn unique<'a>(key: &str, values: impl Iterator<Item = &'a str>) -> Result<(), ManifestError> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(refuse(key, value, "is given twice"));
        }
    }
    Ok(())
}

fn check_symbol(key: &str, text: &str) -> Result<(), ManifestError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$');
    if text.is_empty() || text.len() > MAX_SYMBOL || !text.bytes().all(fits) {
        return Err(refuse(
            key,
            text,
            "is no symbol name of 1 to 128 letters, digits, `_`, `.` or `$`",
        ));
    }
    Ok(())
}

fn check_word(key: &str, text: &str) -> Result<(), ManifestError> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if text.is_empty() || text.len() > 32 || !text.bytes().all(fits) {
        return Err(refuse(
            key,
            text,
            "must be 1 to 32 lower-case letters, digits, `_` or `-`",
        ));
    }
    Ok(())
}

fn check_file(key: &str, path: &str) -> Result<(), ManifestError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if path.is_empty() || path.len() > 128 || path.starts_with('.') || !path.bytes().all(fits) {
        return Err(refuse(
            key,
            path,
            "must name a file beside package.toml: letters, digits, `_`, `-` and `.`",
        ));
    }
    Ok(())
}
