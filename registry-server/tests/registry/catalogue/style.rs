// SPDX-License-Identifier: Apache-2.0
//! Colours that people with weak eyes can tell apart, in both schemes.

use std::collections::BTreeMap;

const STYLE: &str = include_str!("../../../../web/static/style.css");

/// The colours of one scheme, by name.
fn colours(block: &str) -> BTreeMap<&str, [f64; 3]> {
    let channel = |hex: &str| f64::from(u8::from_str_radix(hex, 16).unwrap()) / 255.0;
    let lines = block
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--"));
    let pairs = lines.filter_map(|line| line.trim_end_matches(';').split_once(": #"));
    pairs
        .map(|(name, hex)| (name, [&hex[..2], &hex[2..4], &hex[4..6]].map(channel)))
        .collect()
}

/// Relative luminance and contrast as WCAG 2.2 defines them.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| {
        let [r, g, b] = colour.map(|c| {
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    (one / other).max(other / one)
}

#[test]
fn text_and_controls_stand_out_in_light_and_dark() {
    let mut schemes = STYLE
        .split(":root {")
        .skip(1)
        .map(|rest| rest.split('}').next().unwrap());
    for scheme in ["light", "dark"] {
        let colours = colours(schemes.next().unwrap());
        let demand = |front: &str, back: &str, least: f64| {
            let found = contrast(colours[front], colours[back]);
            assert!(
                found >= least,
                "{scheme}: {front} on {back} is {found:.2}, not {least}"
            );
        };
        for back in ["ground", "surface", "sunken"] {
            for front in ["text", "muted", "accent"] {
                demand(front, back, 4.5);
            }
            for front in ["good", "care", "bad"] {
                demand(front, back, 4.5);
            }
            demand("control", back, 3.0);
        }
        for word in ["good", "care", "bad", "accent"] {
            demand(word, &format!("{word}-ground"), 4.5);
        }
        for back in ["care-ground", "bad-ground"] {
            demand("text", back, 4.5);
        }
        demand("surface", "accent", 4.5);
    }
}
