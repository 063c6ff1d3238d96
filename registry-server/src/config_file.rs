// SPDX-License-Identifier: Apache-2.0
//! Lays a configuration file under the environment and the command line.
//!
//! The file knows nothing of its own: its keys are the long names of the options of
//! `serve`, so an option that is added is a key at once. What the file says of options that
//! neither the command line nor the environment sets is put behind the command line, and its
//! parser does the rest. An option whose value is secret has a companion `--<option>-file`
//! that names a file to read it from.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, parser::ValueSource};

use crate::config::{Cli, DEFAULT_FILE};

/// The verb whose options are the settings.
const VERB: &str = "serve";
/// Longest file with a secret, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{what} {} cannot be read: {source}", path.display())]
    Read {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("configuration file {} is not TOML: {source}", path.display())]
    Syntax {
        path: PathBuf,
        source: toml::de::Error,
    },
    /// The file has a key that means nothing.
    #[error("configuration file {} has the key `{key}`, which there is not{}", path.display(), hint(nearest.as_deref()))]
    Unknown {
        path: PathBuf,
        key: String,
        nearest: Option<String>,
    },
    /// The value is a table or a date.
    #[error("configuration file {}: `{key}` must be a string, a number, true, false or a list of them", path.display())]
    Kind { path: PathBuf, key: String },
    /// A secret is given, and a file to read it from, too.
    #[error("both `{name}` and `{name}-file` are given; give one of them")]
    Twice { name: String },
    /// The command line is wrong, or asks for help.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "; `bpfpkg-registry serve --help` lists them".to_owned(),
        |nearest| format!("; do you mean `{nearest}`?"),
    )
}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// This variable of the environment.
    Environment(String),
    /// The configuration file, or the file that holds a secret.
    File(PathBuf),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("command line"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path) => path.display().fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting as it is after all layers.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its name: the key in the file, and after `--` on the command line.
    pub name: String,
    /// Its values as text; none if it is not set.
    pub values: Vec<String>,
    /// Whether it must not be shown.
    pub secret: bool,
    /// Where the values come from.
    pub origin: Origin,
}

/// The command line with everything below it.
#[derive(Debug)]
pub struct Loaded {
    /// What to do and how.
    pub cli: Cli,
    /// Each setting that the verb knows, by name.
    pub settings: Vec<Setting>,
}

/// Reads the arguments, the configuration file and the files with secrets.
///
/// # Errors
/// [`ConfigError`]; [`ConfigError::Arguments`] also for `--help`.
pub fn load(arguments: &[OsString]) -> Result<Loaded, ConfigError> {
    let mut command = command();
    let mut arguments = arguments.to_vec();
    let mut values = Values::new();
    // What is wrong, or asks for help, is told by the last reading.
    let lenient = command.clone().ignore_errors(true);
    if let Ok(given) = lenient.clone().try_get_matches_from(&arguments) {
        let given = leaf(&given);
        if let Some(path) = file_to_read(given) {
            values = read(&path, &command)?;
            values.retain(|name, (texts, _)| lay(&command, given, name, texts, &mut arguments));
        }
    }
    if let Ok(given) = lenient.try_get_matches_from(&arguments) {
        let secrets = secrets(&command, leaf(&given))?;
        for (name, (texts, origin)) in secrets {
            lay(&command, leaf(&given), &name, &texts, &mut arguments);
            values.insert(name, (texts, origin));
        }
    }
    let matches = command.clone().try_get_matches_from(&arguments)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let settings = settings(&command, &matches, &values);
    Ok(Loaded { cli, settings })
}

/// The command line with the companions of secret options.
pub fn command() -> Command {
    Cli::command().mut_subcommands(|verb| {
        let companions: Vec<Arg> = verb.get_arguments().filter_map(companion).collect();
        verb.mut_subcommands(|verb| {
            let companions: Vec<Arg> = verb.get_arguments().filter_map(companion).collect();
            verb.args(companions)
        })
        .args(companions)
    })
}

/// `--<option>-file` of an option whose value must not be shown.
fn companion(secret: &Arg) -> Option<Arg> {
    let name = secret
        .get_long()
        .filter(|_| secret.is_hide_env_values_set())?;
    let variable = secret
        .get_env()
        .map(|name| format!("{}_FILE", name.display()));
    let file = Arg::new(format!("{name}-file"))
        .long(format!("{name}-file"))
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help(format!("File to read --{name} from"));
    Some(match variable {
        Some(variable) => file.env(variable),
        None => file,
    })
}

/// Text of settings by name, and where it comes from.
type Values = BTreeMap<String, (Vec<String>, Origin)>;

/// The options that are settings: those of [`VERB`] and those of every verb.
fn known(command: &Command) -> impl Iterator<Item = &Arg> {
    let verb = command.find_subcommand(VERB);
    let own = verb.into_iter().flat_map(Command::get_arguments);
    let shared = command
        .get_arguments()
        .filter(|option| option.is_global_set());
    let options = own.chain(shared);
    options.filter(|option| {
        option
            .get_long()
            .is_some_and(|name| !["config", "help", "version"].contains(&name))
    })
}

fn leaf(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, below)) => leaf(below),
        None => matches,
    }
}

fn file_to_read(matches: &ArgMatches) -> Option<PathBuf> {
    match matches.try_get_one::<PathBuf>("config") {
        Ok(Some(path)) => Some(path.clone()),
        _ => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()),
    }
}

fn read(path: &Path, command: &Command) -> Result<Values, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        what: "configuration file",
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = toml::from_str(&text).map_err(|source| ConfigError::Syntax {
        path: path.to_owned(),
        source,
    })?;
    let names: Vec<&str> = known(command).filter_map(Arg::get_long).collect();
    let mut values = Values::new();
    for (key, value) in table {
        if !names.contains(&key.as_str()) {
            return Err(ConfigError::Unknown {
                path: path.to_owned(),
                nearest: nearest(&key, &names),
                key,
            });
        }
        let Some(texts) = texts(value) else {
            let path = path.to_owned();
            return Err(ConfigError::Kind { path, key });
        };
        values.insert(key, (texts, Origin::File(path.to_owned())));
    }
    Ok(values)
}

fn nearest(key: &str, names: &[&str]) -> Option<String> {
    let key = key.replace('_', "-").to_lowercase();
    let near = names
        .iter()
        .map(|name| (strsim::jaro_winkler(&key, name), *name))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (near.0 > 0.8).then(|| near.1.to_owned())
}

fn texts(value: toml::Value) -> Option<Vec<String>> {
    let one = |value| match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    };
    match value {
        toml::Value::Array(list) => list.into_iter().map(one).collect(),
        value => Some(vec![one(value)?]),
    }
}

/// Puts a value behind the arguments, if nothing above it has set the option, and the verb
/// has it at all; gives whether it did.
fn lay(
    command: &Command,
    given: &ArgMatches,
    name: &str,
    texts: &[String],
    arguments: &mut Vec<OsString>,
) -> bool {
    let Some(option) = known(command).find(|option| option.get_long() == Some(name)) else {
        return false;
    };
    let id = option.get_id().as_str();
    if given.try_contains_id(id).is_err() || is_set(given, id) {
        return false;
    }
    if option.get_action().takes_values() {
        arguments.extend(texts.iter().map(|text| format!("--{name}={text}").into()));
    } else if texts == ["true"] {
        arguments.push(format!("--{name}").into());
    }
    true
}

/// Whether the command line or the environment says what the option is.
fn is_set(given: &ArgMatches, id: &str) -> bool {
    matches!(
        given.value_source(id),
        Some(ValueSource::CommandLine | ValueSource::EnvVariable)
    )
}

/// The secrets that are read from files of their own.
fn secrets(command: &Command, given: &ArgMatches) -> Result<Values, ConfigError> {
    let mut values = Values::new();
    for option in known(command).filter(|option| option.is_hide_env_values_set()) {
        let Some(name) = option.get_long() else {
            continue;
        };
        let Ok(Some(path)) = given.try_get_one::<PathBuf>(&format!("{name}-file")) else {
            continue;
        };
        if is_set(given, option.get_id().as_str()) {
            let name = name.to_owned();
            return Err(ConfigError::Twice { name });
        }
        let origin = Origin::File(path.clone());
        values.insert(name.to_owned(), (vec![secret(path)?], origin));
    }
    Ok(values)
}

/// A secret without the line break that editors put behind it.
fn secret(path: &Path) -> Result<String, ConfigError> {
    use std::io::Read;
    let read = || {
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        file.take(MAX_SECRET).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|source| ConfigError::Read {
        what: "secret",
        path: path.to_owned(),
        source,
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn settings(command: &Command, matches: &ArgMatches, values: &Values) -> Vec<Setting> {
    let matches = leaf(matches);
    let mut settings: Vec<Setting> = known(command)
        .filter_map(|option| {
            let (id, name) = (option.get_id().as_str(), option.get_long()?);
            let raw = matches.try_get_raw(id).ok()?;
            let values_now = raw.into_iter().flatten();
            let variable = || option.get_env().map(|name| name.display().to_string());
            let origin = match (values.get(name), matches.value_source(id)) {
                (Some((_, origin)), _) => origin.clone(),
                (None, Some(ValueSource::CommandLine)) => Origin::Flag,
                (None, Some(ValueSource::EnvVariable)) => {
                    Origin::Environment(variable().unwrap_or_default())
                }
                (None, _) => Origin::Default,
            };
            Some(Setting {
                name: name.to_owned(),
                values: values_now
                    .map(|value| value.to_string_lossy().into_owned())
                    .collect(),
                secret: option.is_hide_env_values_set(),
                origin,
            })
        })
        .collect();
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    settings
}
