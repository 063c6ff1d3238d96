// SPDX-License-Identifier: Apache-2.0
//! How a registry says what proof of identity it wants: the `WWW-Authenticate`
//! header, and the answer of the token service that it names.

use serde::Deserialize;

/// What to send with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Pull,
    Push,
}

impl Access {
    /// The actions in a token's scope.
    pub(crate) const fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// One way to prove who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Ask `realm` for a token.
    Bearer {
        realm: String,
        service: Option<String>,
    },
    /// Send name and password with each request.
    Basic,
}

/// Chooses from all challenges of all header lines: a token before a password.
pub(crate) fn choose<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for (scheme, parameters) in lines.flat_map(parse_line) {
        let value = |name: &str| {
            parameters
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = value("realm")
        {
            return Some(Challenge::Bearer {
                realm,
                service: value("service"),
            });
        }
        if scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Challenge::Basic);
        }
    }
    basic
}

type Parameters = Vec<(String, String)>;

/// Splits one header line, which may hold several challenges, at its commas.
fn parse_line(line: &str) -> Vec<(String, Parameters)> {
    let mut challenges: Vec<(String, Parameters)> = Vec::new();
    for part in split_unquoted(line) {
        let part = part.trim();
        // `Scheme key=value` begins a challenge; `key=value` continues the last one.
        let (scheme, parameter) = match part.split_once(' ') {
            Some((scheme, rest)) if !scheme.contains('=') => (Some(scheme), rest.trim()),
            _ if !part.contains('=') => (Some(part), ""),
            _ => (None, part),
        };
        if let Some(scheme) = scheme {
            challenges.push((scheme.to_owned(), Vec::new()));
        }
        if let (Some((key, value)), Some((_, parameters))) =
            (parameter.split_once('='), challenges.last_mut())
        {
            parameters.push((key.trim().to_owned(), unquote(value.trim())));
        }
    }
    challenges
}

fn split_unquoted(line: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&line[start..]);
    parts
}

fn unquote(text: &str) -> String {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// What a token service answers.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl TokenAnswer {
    /// The token, if there is one that fits in a header, and its life in seconds.
    pub(crate) fn token(self) -> Option<(String, u64)> {
        let token = self
            .token
            .filter(|token| !token.is_empty())
            .or(self.access_token)?;
        let fits = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        // 60 s is what the token specification says when the answer is silent.
        fits.then(|| (token, self.expires_in.unwrap_or(60).clamp(60, 3600)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_preferred_in_any_order_and_form() {
        let wanted = Challenge::Bearer {
            realm: "https://auth.example/token?a=b,c".to_owned(),
            service: Some("the \"registry\"".to_owned()),
        };
        let one_line = r#"Basic realm="x", Bearer realm="https://auth.example/token?a=b,c",service="the \"registry\"",scope="a:b:c""#;
        assert_eq!(choose([one_line].into_iter()), Some(wanted.clone()));
        let two = [
            "Basic realm=x",
            r#"bearer service="the \"registry\"", realm="https://auth.example/token?a=b,c""#,
        ];
        assert_eq!(choose(two.into_iter()), Some(wanted));
        assert_eq!(choose(["Basic"].into_iter()), Some(Challenge::Basic));
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for line in [
            "",
            ",,,",
            "=",
            "Bearer",
            "Bearer realm",
            "Digest realm=\"x\"",
            "\"",
            "realm=\"x\"",
            "Bearer \\\"",
        ] {
            assert_eq!(choose([line].into_iter()), None, "{line}");
        }
        let answer = |text: &str| {
            serde_json::from_str::<TokenAnswer>(text)
                .expect(text)
                .token()
        };
        assert_eq!(
            answer(r#"{"access_token":"t","expires_in":1}"#),
            Some(("t".to_owned(), 60))
        );
        assert_eq!(answer(r#"{"token":"a\nb"}"#), None);
        assert_eq!(answer("{}"), None);
    }
}
