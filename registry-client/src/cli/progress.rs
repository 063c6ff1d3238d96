// SPDX-License-Identifier: Apache-2.0
//! A bar for eyes on a terminal, nothing for anybody else.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::session::Session;

/// A bar of `length` bytes on stderr, hidden unless that is a terminal.
pub(super) fn bytes(session: &Session, length: u64, what: &str) -> ProgressBar {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let visible = io::stderr().is_terminal() && !session.global.quiet && !dumb;
    let target = if visible {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let template = "{msg} {wide_bar} {bytes}/{total_bytes}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), target)
        .with_style(style)
        .with_message(what.to_owned())
}
