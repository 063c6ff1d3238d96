// SPDX-License-Identifier: Apache-2.0
//! What a token may do: actions on the repositories that a pattern covers.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::shorten;

/// Longest scope, in bytes.
pub const MAX_SCOPE: usize = 400;
/// Most scopes of one token.
pub const MAX_SCOPES: usize = 32;

/// One thing that a token may allow.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ScopeAction {
    /// Read.
    Pull,
    /// Publish.
    Push,
    /// Remove tags, manifests and blobs.
    Delete,
    /// Withdraw versions, take that back, deprecate.
    Yank,
    /// Change keys, members and settings of the namespace.
    Manage,
    /// What only administrators may do. Needs the pattern `*`.
    Admin,
}

impl ScopeAction {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Pull,
        Self::Push,
        Self::Delete,
        Self::Yank,
        Self::Manage,
        Self::Admin,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Yank => "yank",
            Self::Manage => "manage",
            Self::Admin => "admin",
        }
    }
}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// There is no colon, nothing beside it, or the text is too long.
    #[error("`{0}` is no scope; write `PATTERN:ACTION,ACTION`, for instance `demo/*:pull,push`")]
    Form(String),
    /// The pattern is none.
    #[error(
        "`{0}` is no pattern; write `*`, `namespace/*`, `namespace/name`, or either part with `*` at its end"
    )]
    Pattern(String),
    /// There is no such action.
    #[error("`{0}` is no action; use pull, push, delete, yank, manage or admin")]
    Action(String),
    /// Administration has no namespace.
    #[error("`{0}` gives `admin` on some repositories only; write `*:admin`")]
    Admin(String),
}

/// A name, or how names begin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Part {
    text: String,
    open: bool,
}

impl Part {
    fn parse(text: &str) -> Option<Self> {
        let (name, open) = match text.strip_suffix('*') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let fits = |b: u8| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'/')
        };
        let whole = (open || !name.is_empty()) && name.bytes().all(fits);
        whole.then(|| Self {
            text: name.to_owned(),
            open,
        })
    }

    fn covers(&self, name: &str) -> bool {
        if self.open {
            name.starts_with(&self.text)
        } else {
            name == self.text
        }
    }

    fn covers_part(&self, other: &Self) -> bool {
        if self.open {
            other.text.starts_with(&self.text)
        } else {
            !other.open && other.text == self.text
        }
    }
}

/// Actions on the repositories that a pattern covers, `demo/*:pull,push`.
///
/// The pattern is `*` for everything, or `NAMESPACE/NAME`; either part may end in `*`, which
/// stands for any further characters. `NAMESPACE` alone means all of it.
///
/// # Examples
/// ```
/// use registry_schema::scope::{Scope, ScopeAction};
/// let scope: Scope = "demo/xdp-*:push,pull".parse()?;
/// assert!(scope.allows(ScopeAction::Push, "demo/xdp-root"));
/// assert!(!scope.allows(ScopeAction::Push, "demo/tc-root"));
/// assert!(!scope.allows(ScopeAction::Delete, "demo/xdp-root"));
/// assert_eq!(scope.to_string(), "demo/xdp-*:pull,push");
/// # Ok::<(), registry_schema::scope::ScopeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Scope {
    namespace: Part,
    name: Part,
    actions: Vec<ScopeAction>,
}

impl Scope {
    /// Whether the scope allows `action` in `repository`.
    pub fn allows(&self, action: ScopeAction, repository: &str) -> bool {
        let (namespace, name) = repository.split_once('/').unwrap_or((repository, ""));
        self.actions.contains(&action) && self.namespace.covers(namespace) && self.name.covers(name)
    }

    /// Whether the scope allows `action` in all of `namespace`.
    pub fn allows_all(&self, action: ScopeAction, namespace: &str) -> bool {
        self.actions.contains(&action)
            && self.namespace.covers(namespace)
            && self.name.open
            && self.name.text.is_empty()
    }

    /// Whether the scope allows anything at all in `namespace`.
    pub fn touches(&self, namespace: &str) -> bool {
        self.namespace.covers(namespace)
    }

    /// What it allows.
    pub fn actions(&self) -> &[ScopeAction] {
        &self.actions
    }

    /// Whether this scope allows `action` on everything that `other` covers.
    pub fn covers(&self, other: &Self, action: ScopeAction) -> bool {
        self.actions.contains(&action)
            && self.namespace.covers_part(&other.namespace)
            && self.name.covers_part(&other.name)
    }
}

/// Whether `wider` together allow all that `scope` allows.
pub fn covered(scope: &Scope, wider: &[Scope]) -> bool {
    let one = |action: &ScopeAction| wider.iter().any(|wide| wide.covers(scope, *action));
    scope.actions.iter().all(one)
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let form = || ScopeError::Form(shorten(text));
        let (pattern, words) = text.rsplit_once(':').ok_or_else(form)?;
        if text.len() > MAX_SCOPE || words.is_empty() {
            return Err(form());
        }
        let no_pattern = || ScopeError::Pattern(shorten(pattern));
        let (namespace, name) = pattern.split_once('/').unwrap_or((pattern, "*"));
        let namespace = Part::parse(namespace).ok_or_else(no_pattern)?;
        let name = Part::parse(name).ok_or_else(no_pattern)?;
        let word = |word: &str| {
            let found = ScopeAction::ALL
                .into_iter()
                .find(|action| action.as_str() == word);
            found.ok_or_else(|| ScopeError::Action(shorten(word)))
        };
        let mut actions = words.split(',').map(word).collect::<Result<Vec<_>, _>>()?;
        actions.sort_unstable();
        actions.dedup();
        let scope = Self {
            namespace,
            name,
            actions,
        };
        if scope.actions.contains(&ScopeAction::Admin) && pattern != "*" {
            return Err(ScopeError::Admin(shorten(text)));
        }
        Ok(scope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = |part: &Part| if part.open { "*" } else { "" };
        let (namespace, name) = (&self.namespace, &self.name);
        let everything = namespace.open && namespace.text.is_empty();
        if everything && name.open && name.text.is_empty() {
            f.write_str("*")?;
        } else {
            let (a, b) = (star(namespace), star(name));
            write!(f, "{}{a}/{}{b}", namespace.text, name.text)?;
        }
        for (at, action) in self.actions.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { ':' } else { ',' }, action.as_str())?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

/// Whether `text` fits `pattern`, in which each `*` stands for any characters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        // The earliest place leaves most for what follows.
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().expect("a scope")
    }

    #[test]
    fn a_scope_covers_what_its_pattern_says() {
        for (text, repository, allowed) in [
            ("*:pull", "demo/x", true),
            ("demo:pull", "demo/x", true),
            ("demo:pull", "demo/x/y", true),
            ("demo:pull", "demo2/x", false),
            ("demo/*:pull", "demo/x/y", true),
            ("demo/x:pull", "demo/x", true),
            ("demo/x:pull", "demo/xy", false),
            ("demo/x*:pull", "demo/xy", true),
            ("team-*/x:pull", "team-a/x", true),
            ("team-*/x:pull", "team-a/y", false),
            ("demo/*:push", "demo/x", false),
        ] {
            assert_eq!(
                scope(text).allows(ScopeAction::Pull, repository),
                allowed,
                "{text} {repository}"
            );
        }
        assert_eq!(scope("*:push,pull,push").to_string(), "*:pull,push");
        assert_eq!(scope("demo:yank").to_string(), "demo/*:yank");
        for text in [
            "",
            ":",
            "demo",
            "demo:",
            ":pull",
            "demo:fly",
            "De:pull",
            "a*b:pull",
            "demo/:pull",
            "demo:admin",
            "*/a:admin",
            "demo:pull,",
            "/x:pull",
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_narrow_makes_something_wide() {
        let yes = [
            ("*:pull,push", "demo/x:push"),
            ("demo:pull", "demo/a*:pull"),
            ("d*/x*:pull", "demo/xy:pull"),
        ];
        let no = [
            ("demo:pull", "demo:pull,push"),
            ("demo/x:pull", "demo/x*:pull"),
            ("demo:pull", "demo*:pull"),
            ("demo/*:pull", "*:pull"),
            ("demo/x*:pull", "demo/*:pull"),
        ];
        for (wide, narrow) in yes {
            assert!(covered(&scope(narrow), &[scope(wide)]), "{wide} {narrow}");
        }
        for (wide, narrow) in no {
            assert!(!covered(&scope(narrow), &[scope(wide)]), "{wide} {narrow}");
        }
        let both = [scope("demo:pull"), scope("demo:push")];
        assert!(covered(&scope("demo/x:pull,push"), &both));
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*b", "ab", true),
            ("a*b", "aXbXb", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            (
                "repo:o/r:ref:refs/tags/v*",
                "repo:o/r:ref:refs/tags/v1",
                true,
            ),
            (
                "repo:o/r:ref:refs/tags/v*",
                "repo:o/r:ref:refs/heads/v1",
                false,
            ),
            ("*", "", true),
            ("", "x", false),
            ("ab*ab", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
