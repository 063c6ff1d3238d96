// SPDX-License-Identifier: Apache-2.0
//! The licence string of an object, as the kernel and as people read it.

/// The strings that the kernel takes for GPL-compatible. Nothing else counts:
/// an SPDX expression such as `GPL-2.0` does not.
pub const GPL_COMPATIBLE: [&str; 6] = [
    "GPL",
    "GPL v2",
    "GPL and additional rights",
    "Dual BSD/GPL",
    "Dual MIT/GPL",
    "Dual MPL/GPL",
];

/// Whether the kernel lets a program with this licence call GPL-only helpers.
pub fn is_gpl_compatible(licence: &str) -> bool {
    GPL_COMPATIBLE.contains(&licence)
}

/// Reads the licence section: text up to the first NUL byte.
pub(crate) fn read(section: &[u8]) -> String {
    let text = section.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// Whether a kernel licence string and an SPDX expression can both be true.
///
/// The kernel's strings are a small vocabulary; each says which SPDX licences
/// must appear. A string outside the vocabulary is compared as text.
pub fn agrees(licence: &str, spdx: &str) -> bool {
    let words: Vec<&str> = spdx
        .split(|c: char| c.is_whitespace() || c == '(' || c == ')')
        .filter(|word| !word.is_empty())
        .collect();
    let has = |family: &str| words.iter().any(|word| word.starts_with(family));
    let gpl = || has("GPL-");
    match licence {
        "GPL" | "GPL v2" | "GPL and additional rights" => gpl(),
        "Dual BSD/GPL" => gpl() && (has("BSD-") || has("0BSD")),
        "Dual MIT/GPL" => gpl() && has("MIT"),
        "Dual MPL/GPL" => gpl() && has("MPL-"),
        "Proprietary" => !gpl(),
        other => {
            other.eq_ignore_ascii_case(spdx)
                || words.iter().any(|word| word.eq_ignore_ascii_case(other))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernels_own_words_count_as_gpl() {
        for licence in GPL_COMPATIBLE {
            assert!(is_gpl_compatible(licence));
        }
        for licence in ["GPL-2.0", "gpl", "Proprietary", "MIT", "", "Dual MIT/GPL "] {
            assert!(!is_gpl_compatible(licence), "{licence}");
        }
    }

    #[test]
    fn a_dual_string_needs_both_licences() {
        assert!(agrees("Dual MIT/GPL", "GPL-2.0-only OR MIT"));
        assert!(agrees("Dual BSD/GPL", "(GPL-2.0-or-later OR BSD-3-Clause)"));
        assert!(agrees("GPL", "GPL-2.0-only"));
        assert!(agrees("Apache-2.0", "Apache-2.0"));
        assert!(!agrees("Dual MIT/GPL", "MIT"));
        assert!(!agrees("GPL", "LGPL-2.1-only"));
        assert!(!agrees("Proprietary", "GPL-2.0-only"));
        assert!(!agrees("GPL", "Apache-2.0"));
    }
}
