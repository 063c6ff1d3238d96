// SPDX-License-Identifier: Apache-2.0
//! Types and values of parameters, and their bytes in a map.

use std::net::{Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Parameter, parse::ManifestError};

/// Type of a parameter. Numbers are little-endian in maps of a `bpfel` object;
/// addresses are in network order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// 0 or 1, one byte.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// An IPv4 address, 4 bytes.
    Ipv4,
    /// An IPv6 address, 16 bytes.
    Ipv6,
}

impl ValueType {
    /// The word for it in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// Width in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::Ipv4 => 4,
            Self::U64 | Self::I64 => 8,
            Self::Ipv6 => 16,
        }
    }

    /// Smallest and largest number of this type; none for addresses.
    pub const fn range(self) -> Option<(i128, i128)> {
        match self {
            Self::Bool => Some((0, 1)),
            Self::U8 => Some((0, u8::MAX as i128)),
            Self::U16 => Some((0, u16::MAX as i128)),
            Self::U32 => Some((0, u32::MAX as i128)),
            Self::U64 => Some((0, u64::MAX as i128)),
            Self::I8 => Some((i8::MIN as i128, i8::MAX as i128)),
            Self::I16 => Some((i16::MIN as i128, i16::MAX as i128)),
            Self::I32 => Some((i32::MIN as i128, i32::MAX as i128)),
            Self::I64 => Some((i64::MIN as i128, i64::MAX as i128)),
            Self::Ipv4 | Self::Ipv6 => None,
        }
    }
}

/// A value as a manifest or an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ParameterValue {
    /// `true` or `false`.
    Bool(bool),
    /// A number that fits a signed 64-bit integer.
    Integer(i64),
    /// A number beyond that.
    Unsigned(u64),
    /// An address.
    Text(String),
    /// A list, for parameters with `many = true`.
    List(Vec<ParameterValue>),
}

impl ParameterValue {
    fn describe(&self) -> String {
        serde_json::to_string(self)
            .map_or_else(|_| "value".to_owned(), |text| crate::digest::shorten(&text))
    }
}

impl Parameter {
    /// Checks `value` against type, range and `many`, and gives the bytes of each
    /// element, little-endian for numbers.
    ///
    /// # Errors
    /// [`ManifestError::Parameter`] with the parameter's name, the value and what is allowed.
    pub fn encode(&self, value: &ParameterValue) -> Result<Vec<Vec<u8>>, ManifestError> {
        match (self.many, value) {
            (true, ParameterValue::List(items)) => {
                items.iter().map(|item| self.encode_one(item)).collect()
            }
            (false, ParameterValue::List(_)) => {
                Err(self.refuse(value, "is a list; one value is wanted"))
            }
            (_, one) => Ok(vec![self.encode_one(one)?]),
        }
    }

    fn encode_one(&self, value: &ParameterValue) -> Result<Vec<u8>, ManifestError> {
        let number = match (self.value_type.range(), value) {
            (Some(_), ParameterValue::Integer(number)) => i128::from(*number),
            (Some(_), ParameterValue::Unsigned(number)) => i128::from(*number),
            (Some(_), ParameterValue::Bool(flag)) if self.value_type == ValueType::Bool => {
                i128::from(*flag)
            }
            (None, ParameterValue::Text(text)) => return self.encode_address(text, value),
            _ => return Err(self.refuse(value, &format!("is no {}", self.value_type.as_str()))),
        };
        let (type_min, type_max) = self.value_type.range().unwrap_or_default();
        let min = self
            .min
            .map_or(type_min, |min| type_min.max(i128::from(min)));
        let max = self
            .max
            .map_or(type_max, |max| type_max.min(i128::from(max)));
        if number < min || number > max {
            return Err(self.refuse(
                value,
                &format!("is out of range; {min} to {max} is allowed"),
            ));
        }
        Ok(number.to_le_bytes()[..self.value_type.size()].to_vec())
    }

    fn encode_address(&self, text: &str, value: &ParameterValue) -> Result<Vec<u8>, ManifestError> {
        let bytes = match self.value_type {
            ValueType::Ipv4 => text
                .parse()
                .map(|address: Ipv4Addr| address.octets().to_vec()),
            _ => text
                .parse()
                .map(|address: Ipv6Addr| address.octets().to_vec()),
        };
        bytes.map_err(|_| {
            self.refuse(
                value,
                &format!("is no {} address", self.value_type.as_str()),
            )
        })
    }

    fn refuse(&self, value: &ParameterValue, reason: &str) -> ManifestError {
        ManifestError::Parameter {
            name: self.name.clone(),
            value: value.describe(),
            reason: reason.to_owned(),
        }
    }
}
