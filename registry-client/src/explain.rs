// SPDX-License-Identifier: Apache-2.0
//! What an error tells a person besides its sentence.

/// An error that knows its stable code, its exit code and the next step.
pub trait Explain: std::error::Error {
    /// A stable name for scripts and documentation, such as `registry::not_found`.
    fn code(&self) -> &'static str;

    /// The exit code of a command that ends with this error
    /// (`registry_schema::exit`).
    fn exit_code(&self) -> u8;

    /// What to do next, as one sentence.
    fn help(&self) -> Option<String> {
        None
    }
}
