// SPDX-License-Identifier: Apache-2.0
//! Names that look alike.
//!
//! Names hold nothing but lower-case ASCII letters, digits and separators, so each is its own
//! Unicode normal form (NFKC) and letters of other scripts are refused before anything here is
//! asked. What is left are ASCII characters that look like others.

use crate::name::PackageName;

/// Words that are put before or behind the name of an eBPF program without saying anything.
pub const AFFIXES: [&str; 8] = ["bpf", "ebpf", "xdp", "tc", "kern", "prog", "probe", "core"];
/// Names shorter than this differ by so little that one letter is no sign of anything.
const SHORT: usize = 5;

/// What a name looks like: two names with the same skeleton cannot be told apart at a glance,
/// so only one of them is given. Separators are one, however many and whichever they are;
/// `0` is `o`, `1` is `l`, `rn` is `m`, `vv` is `w` (the pairs of Unicode's confusables that
/// names may hold).
pub fn skeleton(name: &str) -> String {
    let mut skeleton = String::with_capacity(name.len());
    for c in name.chars() {
        let c = match c.to_ascii_lowercase() {
            '-' | '_' | '.' => '-',
            '0' => 'o',
            '1' => 'l',
            c => c,
        };
        match (skeleton.chars().last(), c) {
            (Some('-'), '-') => {}
            (Some('r'), 'n') => {
                skeleton.pop();
                skeleton.push('m');
            }
            (Some('v'), 'v') => {
                skeleton.pop();
                skeleton.push('w');
            }
            _ => skeleton.push(c),
        }
    }
    skeleton
}

/// The skeleton with letters that are easily taken for one another made the same.
fn blurred(name: &str) -> String {
    let text = skeleton(name).replace("cl", "d").replace("nn", "m");
    text.chars()
        .filter(|c| *c != '-')
        .map(|c| match c {
            'i' | 'j' => 'l',
            '5' => 's',
            '2' => 'z',
            '8' | '6' => 'b',
            '9' | 'q' => 'g',
            'u' => 'v',
            c => c,
        })
        .collect()
}

/// How a name is like another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// It is the same name in another namespace.
    Same,
    /// It looks the same.
    Looks,
    /// One letter is missing, doubled, changed or out of place.
    Typo,
    /// It has the same words in another order.
    Words,
    /// It is the same with a word before or behind it that says nothing.
    Affix,
}

impl Likeness {
    /// The likeness in words: `a … b`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Same => "is called the same as",
            Self::Looks => "looks like",
            Self::Typo => "is one letter away from",
            Self::Words => "has the same words as",
            Self::Affix => "adds nothing but a common word to",
        }
    }
}

/// How one half of a name is like another one's.
fn half(name: &str, known: &str) -> Option<Likeness> {
    if name == known {
        return Some(Likeness::Same);
    }
    let (one, other) = (skeleton(name), skeleton(known));
    if one == other || blurred(name) == blurred(known) {
        return Some(Likeness::Looks);
    }
    let sorted = |text: &str| {
        let mut words: Vec<String> = text.split('-').map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    if sorted(&one) == sorted(&other) {
        return Some(Likeness::Words);
    }
    if bare(&one) == bare(&other) && !bare(&one).is_empty() {
        return Some(Likeness::Affix);
    }
    let long = one.len().min(other.len()) >= SHORT;
    (long && strsim::damerau_levenshtein(&one, &other) == 1).then_some(Likeness::Typo)
}

/// A name without the words that say nothing.
fn bare(skeleton: &str) -> Vec<&str> {
    let mut words: Vec<&str> = skeleton.split('-').collect();
    while words.first().is_some_and(|word| AFFIXES.contains(word)) {
        words.remove(0);
    }
    while words.last().is_some_and(|word| AFFIXES.contains(word)) {
        words.pop();
    }
    words
}

/// How a package is like a known one of another namespace, so that it could be taken for it.
pub fn likeness(package: &PackageName, known: &PackageName) -> Option<Likeness> {
    let (namespace, known_namespace) = (package.namespace().as_str(), known.namespace().as_str());
    if namespace == known_namespace {
        return None;
    }
    let name = half(package.name(), known.name())?;
    let other = half(namespace, known_namespace);
    // Where the second half is the same, the first one misleads.
    Some(other.filter(|_| name == Likeness::Same).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Namespace;

    // The tests are of names that somebody may try beside `netops/xdp-root`.

    /// Other scripts, cases, widths, marks, directions.
    #[test]
    fn what_is_no_name_at_all_is_refused() {
        for text in [
            "xdp-rооt",
            "xdр-root",
            "хdp-root",
            "xdp‑root",
            "xdp–root",
            "xdp—root",
            "xdp−root",
            "xdp\u{200b}-root",
            "xdp-\u{200d}root",
            "\u{202e}toor-pdx",
            "xdp-root\u{feff}",
            "ｘｄｐ-root",
            "xdp-roοt",
            "xdp-rοοt",
            "ⅹdp-root",
            "xdp-ro𝗼t",
            "xdp-r00т",
            "xdp-root\u{301}",
            "XDP-root",
            "Xdp-Root",
            "xdp root",
            "xdp-root ",
            " xdp-root",
            "xdp-root\0",
            "xdp-root\n",
            "xdp/root",
            "../xdp-root",
            "xdp-root/",
            "-xdp-root",
            "xdp-root-",
            "xdp..root",
            "xdp-root%00",
            "xdp-root\u{ad}",
            "xdp·root",
            "xdp＿root",
            "xdp-röot",
            "xdp-rööt",
            "ẋdp-root",
        ] {
            assert!(
                PackageName::new(namespace("netops"), text).is_err(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_never_given_beside_it() {
        for text in [
            "xdp_root",
            "xdp.root",
            "xdp--root",
            "xdp__root",
            "xdp-r00t",
            "xdp-r0ot",
            "xdp-ro0t",
            "xdp_r00t",
        ] {
            assert_eq!(skeleton(text), skeleton("xdp-root"), "{text}");
        }
        for (one, other) in [
            ("modern", "modem"),
            ("f1ow", "flow"),
            ("vvatch", "watch"),
            ("c0unter", "counter"),
            ("a-b", "a.b"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_only_like_it_is_noted() {
        for (text, likeness) in [
            ("xdp-root", Likeness::Same),
            ("xdproot", Likeness::Looks),
            ("xdp-roof", Likeness::Typo),
            ("xdp-rot", Likeness::Typo),
            ("xdp-roott", Likeness::Typo),
            ("xpd-root", Likeness::Typo),
            ("xdp-rooot", Likeness::Typo),
            ("root-xdp", Likeness::Words),
            ("xdp-root-bpf", Likeness::Affix),
            ("ebpf-xdp-root", Likeness::Affix),
            ("root", Likeness::Affix),
            ("tc-root", Likeness::Affix),
        ] {
            assert_eq!(half(text, "xdp-root"), Some(likeness), "{text}");
        }
        for (text, known) in [
            ("rate-limlt", "rate-limit"),
            ("rate-1imit", "rate-limit"),
            ("connection-1imit", "connection-limit"),
        ] {
            assert_eq!(half(text, known), Some(Likeness::Looks), "{text}");
        }
    }

    #[test]
    fn what_is_merely_another_name() {
        for (one, other) in [
            ("xdp-root", "xdp-stats"),
            ("ratelimiting", "connection-limit"),
            ("tc", "tp"),
            ("pass", "past"),
            ("xdp", "tc"),
            ("flow", "slow"),
            ("counter", "encounters"),
        ] {
            assert_ne!(skeleton(one), skeleton(other), "{one} {other}");
            assert_eq!(half(one, other), None, "{one} {other}");
        }
    }

    fn namespace(text: &str) -> Namespace {
        text.parse().expect("a namespace")
    }

    #[test]
    fn the_whole_name_counts() {
        let known: PackageName = "netops/firewall".parse().expect("a name");
        let like = |text: &str| likeness(&text.parse().expect("a name"), &known);
        assert_eq!(like("netop/firewall"), Some(Likeness::Typo));
        assert_eq!(like("net0ps/firewall"), Some(Likeness::Looks));
        assert_eq!(like("somebody/firewall"), Some(Likeness::Same));
        assert_eq!(like("somebody/firewal"), Some(Likeness::Typo));
        assert_eq!(like("netops/firewal"), None);
        assert_eq!(like("netop/counter"), None);
    }
}
