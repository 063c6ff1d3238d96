// SPDX-License-Identifier: Apache-2.0
//! What a user or node demands of packages before they are used: the policy language.
//!
//! A policy is TOML: rules, each for a registry, a namespace or a package of it, or for
//! everything. All rules that fit count; where two say different things, the one for the
//! smaller part wins, member by member. What no rule says has the default of [`Demands`].

mod scope;
mod seconds;
mod signer;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{scope::Scope, seconds::Seconds, signer::SignerPattern};
use crate::{Namespace, PackageName, TrustLevel, reference::check_host};

/// Largest policy, in bytes.
pub const MAX_POLICY: usize = 1 << 20;
/// Most rules.
pub const MAX_RULES: usize = 10_000;
/// Most signers of one rule, and so the highest threshold.
pub const MAX_SIGNERS: usize = 64;

/// Why a policy is refused. Nothing is demanded by halves, so the whole text is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PolicyError {
    /// The text is larger than the limit.
    #[error("policy is {0} bytes; the limit is {MAX_POLICY}")]
    TooLarge(usize),
    /// It is no TOML, or has a key or value that is not known.
    #[error("policy cannot be read: {0}")]
    Malformed(String),
    /// There are too many rules.
    #[error("policy has {0} rules; the limit is {MAX_RULES}")]
    TooManyRules(usize),
    /// A rule breaks a rule.
    #[error("rule {number} ({scope}): {reason}")]
    Rule {
        number: usize,
        scope: Box<Scope>,
        reason: String,
    },
    /// The level cannot be computed.
    #[error(
        "rule {number} ({scope}) demands level {level}, which is not available: the highest level that can be computed is {highest}",
        highest = TrustLevel::HIGHEST_WITHOUT_LEDGER
    )]
    Unavailable {
        number: usize,
        scope: Box<Scope>,
        level: TrustLevel,
    },
}

/// Whether packages without a signature that counts may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Only what everything demanded holds for.
    #[default]
    Trusted,
    /// Unsigned packages too, flagged wherever they are shown. A signature that is broken
    /// or revoked is refused in this mode too.
    Normal,
}

/// Whether something must be there. What is there is checked in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// It must.
    Required,
    /// It may be absent.
    Optional,
}

/// Whether a version below the highest one seen may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Downgrade {
    /// It is refused.
    #[default]
    Refuse,
    /// It may.
    Allow,
}

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// Only for this registry, `host` or `host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Only for this namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Only for this package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageName>,
    /// Whether unsigned packages may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whose signatures count; absent: those that the trust file names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signers: Option<Vec<SignerPattern>>,
    /// How many different signers must have signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
    /// The lowest level of trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<TrustLevel>,
    /// Whether the version must be in the publish log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Need>,
    /// How many witnesses must have signed the log's checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witnesses: Option<u32>,
    /// Whether a current revocation feed must be at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Need>,
    /// How long ago the revocation feed may have been issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_max_age: Option<Seconds>,
    /// Whether a version below the highest one seen may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgrade: Option<Downgrade>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    rule: Vec<Rule>,
}

/// Rules, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Rule>", into = "Vec<Rule>")]
pub struct Policy {
    // From the largest part to the smallest.
    rules: Vec<(Scope, Rule)>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`], with the number of the rule, counted from 1.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY {
            return Err(PolicyError::TooLarge(text.len()));
        }
        let written: Written = toml::from_str(text)
            .map_err(|error| PolicyError::Malformed(error.to_string().trim_end().to_owned()))?;
        written.rule.try_into()
    }

    /// The same, with `mode` for everything that no rule says a mode for.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        if let Some((Scope::Everything, rule)) = self.rules.first_mut() {
            rule.mode = rule.mode.or(Some(mode));
            return self;
        }
        let rule = Rule {
            mode: Some(mode),
            ..Rule::default()
        };
        self.rules.insert(0, (Scope::Everything, rule));
        self
    }

    /// What is demanded of `package` from `registry`.
    pub fn demands(&self, registry: &str, package: &PackageName) -> Demands {
        let mut demands = Demands::default();
        for (scope, rule) in &self.rules {
            if scope.covers(registry, package) {
                demands.take(scope, rule);
            }
        }
        demands
    }

    /// The rules, from the largest part to the smallest.
    pub fn rules(&self) -> impl Iterator<Item = (&Scope, &Rule)> {
        self.rules.iter().map(|(scope, rule)| (scope, rule))
    }
}

impl TryFrom<Vec<Rule>> for Policy {
    type Error = PolicyError;

    fn try_from(written: Vec<Rule>) -> Result<Self, PolicyError> {
        if written.len() > MAX_RULES {
            return Err(PolicyError::TooManyRules(written.len()));
        }
        let mut seen = BTreeMap::new();
        let mut rules = Vec::new();
        for (index, rule) in written.into_iter().enumerate() {
            let number = index + 1;
            let scope = scope_of(&rule).map_err(|reason| PolicyError::Rule {
                number,
                scope: Box::new(Scope::Everything),
                reason,
            })?;
            let wrong = |reason| {
                let scope = Box::new(scope.clone());
                PolicyError::Rule {
                    number,
                    scope,
                    reason,
                }
            };
            if let Some(first) = seen.insert(scope.clone(), number) {
                return Err(wrong(format!(
                    "rule {first} is for the same; write one rule"
                )));
            }
            check_rule(&rule).map_err(wrong)?;
            if let Some(level) = rule
                .level
                .filter(|l| *l > TrustLevel::HIGHEST_WITHOUT_LEDGER)
            {
                let scope = Box::new(scope);
                return Err(PolicyError::Unavailable {
                    number,
                    scope,
                    level,
                });
            }
            rules.push((scope, rule));
        }
        rules.sort_by_key(|(scope, _)| scope.rank());
        Ok(Self { rules })
    }
}

impl From<Policy> for Vec<Rule> {
    fn from(policy: Policy) -> Self {
        policy.rules.into_iter().map(|(_, rule)| rule).collect()
    }
}

fn scope_of(rule: &Rule) -> Result<Scope, String> {
    if let Some(host) = &rule.registry {
        check_host(host).map_err(|error| error.to_string())?;
    }
    match (&rule.registry, &rule.namespace, &rule.package) {
        (_, Some(namespace), Some(package)) => Err(format!(
            "it names namespace `{namespace}` and package `{package}`; name one of both"
        )),
        (host, None, Some(package)) => Ok(Scope::Package(host.clone(), package.clone())),
        (host, Some(namespace), None) => Ok(Scope::Namespace(host.clone(), namespace.clone())),
        (Some(host), None, None) => Ok(Scope::Registry(host.clone())),
        (None, None, None) => Ok(Scope::Everything),
    }
}

fn check_rule(rule: &Rule) -> Result<(), String> {
    if rule
        .threshold
        .is_some_and(|n| n == 0 || n as usize > MAX_SIGNERS)
    {
        let threshold = rule.threshold.unwrap_or_default();
        return Err(format!(
            "`threshold` is {threshold}; it must be 1 to {MAX_SIGNERS}"
        ));
    }
    let Some(signers) = &rule.signers else {
        return Ok(());
    };
    if !(1..=MAX_SIGNERS).contains(&signers.len()) {
        return Err(format!(
            "`signers` names {}; it must name 1 to {MAX_SIGNERS}, or be left out",
            signers.len()
        ));
    }
    let keys = signers
        .iter()
        .all(|one| matches!(one, SignerPattern::Key(_)));
    match rule.threshold {
        Some(threshold) if keys && threshold as usize > signers.len() => Err(format!(
            "`threshold` is {threshold}, but `signers` names {}",
            signers.len()
        )),
        _ => Ok(()),
    }
}

/// A demand and the rule that makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Demand<T> {
    /// What is demanded.
    pub value: T,
    /// The part that the rule is for; none for what is demanded by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Scope>,
}

impl<T> Demand<T> {
    const fn default_of(value: T) -> Self {
        Self { value, rule: None }
    }

    fn take(&mut self, scope: &Scope, value: Option<T>) {
        if let Some(value) = value {
            self.value = value;
            self.rule = Some(scope.clone());
        }
    }
}

/// Everything that is demanded of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Demands {
    /// `trusted` by default.
    pub mode: Demand<Mode>,
    /// None by default: those that the trust file names.
    pub signers: Demand<Option<Vec<SignerPattern>>>,
    /// 1 by default.
    pub threshold: Demand<u32>,
    /// L1 by default.
    pub level: Demand<TrustLevel>,
    /// None by default: required where the registry's pinned root names a log.
    pub log: Demand<Option<Need>>,
    /// None by default: as many as the registry's pinned root says.
    pub witnesses: Demand<Option<u32>>,
    /// None by default: required where the registry's pinned root names a feed.
    pub revocation: Demand<Option<Need>>,
    /// None by default: until the feed expires.
    pub revocation_max_age: Demand<Option<Seconds>>,
    /// `refuse` by default.
    pub downgrade: Demand<Downgrade>,
}

impl Default for Demands {
    fn default() -> Self {
        Self {
            mode: Demand::default_of(Mode::Trusted),
            signers: Demand::default_of(None),
            threshold: Demand::default_of(1),
            level: Demand::default_of(TrustLevel::L1),
            log: Demand::default_of(None),
            witnesses: Demand::default_of(None),
            revocation: Demand::default_of(None),
            revocation_max_age: Demand::default_of(None),
            downgrade: Demand::default_of(Downgrade::Refuse),
        }
    }
}

impl Demands {
    fn take(&mut self, scope: &Scope, rule: &Rule) {
        self.mode.take(scope, rule.mode);
        self.signers.take(scope, rule.signers.clone().map(Some));
        self.threshold.take(scope, rule.threshold);
        self.level.take(scope, rule.level);
        self.log.take(scope, rule.log.map(Some));
        self.witnesses.take(scope, rule.witnesses.map(Some));
        self.revocation.take(scope, rule.revocation.map(Some));
        self.revocation_max_age
            .take(scope, rule.revocation_max_age.map(Some));
        self.downgrade.take(scope, rule.downgrade);
    }
}
