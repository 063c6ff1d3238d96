// SPDX-License-Identifier: Apache-2.0
//! Canonical JSON: UTF-8, sorted keys, no white space, integers only.
//!
//! One value has exactly one text, so digests of what is written are stable.

use serde::Serialize;
use serde_json::Value;

/// Why a value has no canonical JSON.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// A number has a fraction or an exponent, or does not fit 64 bits.
    #[error("number {0} is no 64-bit integer; canonical JSON has no other numbers")]
    Number(String),
    /// The value cannot be expressed in JSON at all.
    #[error("value has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
}

/// Writes `value` as canonical JSON.
///
/// # Errors
/// [`CanonicalError::Number`] for a number that is no 64-bit integer,
/// [`CanonicalError::Json`] if serde cannot write the value.
pub fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::new();
    write(&serde_json::to_value(value)?, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Object(map) => {
            // The order of serde_json's own map depends on features of other crates.
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, key)?;
                out.push(b':');
                write(member, out)?;
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Number(number) if !number.is_i64() && !number.is_u64() => {
            return Err(CanonicalError::Number(number.to_string()));
        }
        other => serde_json::to_writer(&mut *out, other)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sorted_dense_and_exact() {
        let value = json!({"b": [1, u64::MAX, null], "a": {"z": "é\n", "y": true}});
        let text = String::from_utf8(to_vec(&value).expect("canonical")).expect("UTF-8");
        assert_eq!(
            text,
            r#"{"a":{"y":true,"z":"é\n"},"b":[1,18446744073709551615,null]}"#
        );
        assert!(matches!(
            to_vec(&json!(1.5)),
            Err(CanonicalError::Number(_))
        ));
    }
}
