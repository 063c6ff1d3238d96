// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry config check` and `config show`

use std::io::Write;

use registry_schema::exit;

use crate::{
    config::ConfigVerb,
    config_file::{Origin, Setting},
};

/// Says what the settings are, or that they can be used.
pub(super) fn run(verb: &ConfigVerb, settings: &[Setting]) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    match verb {
        ConfigVerb::Check(config) => {
            crate::check(config)?;
            let set = settings
                .iter()
                .filter(|setting| setting.origin != Origin::Default);
            writeln!(
                out,
                "the configuration can be used; {} of {} settings are set",
                set.count(),
                settings.len()
            )?;
        }
        ConfigVerb::Show { origin, .. } => {
            for setting in settings {
                writeln!(out, "{}", line(setting, *origin))?;
            }
        }
    }
    out.flush()?;
    Ok(exit::OK)
}

/// A setting as the configuration file would hold it.
fn line(setting: &Setting, origin: bool) -> String {
    let Setting { name, values, .. } = setting;
    let text = match values.as_slice() {
        [] => format!("# {name} is not set"),
        _ if setting.secret => format!("# {name} is set, and secret"),
        [value] => format!("{name} = {}", toml_value(value)),
        several => {
            let several: Vec<String> = several.iter().map(|value| toml_value(value)).collect();
            format!("{name} = [{}]", several.join(", "))
        }
    };
    if origin && !values.is_empty() {
        format!("{text:<58} # {}", setting.origin)
    } else {
        text
    }
}

fn toml_value(text: &str) -> String {
    match text.parse::<i64>() {
        Ok(number) => number.to_string(),
        Err(_) if matches!(text, "true" | "false") => text.to_owned(),
        Err(_) => toml::Value::String(text.to_owned()).to_string(),
    }
}
