// SPDX-License-Identifier: Apache-2.0
//! CO-RE relocations in words: which kernel types and fields an object adapts to.

use super::ext::CoreRecord;
use super::{Btf, Kind};

/// Longest path of members that is followed.
const PATH: usize = 64;

/// `struct.field` (or `struct`, or `enum::value`) that a CO-RE relocation names.
/// `None` if it speaks of the object's own types, or cannot be followed.
pub(crate) fn target(btf: &Btf, record: CoreRecord) -> Option<String> {
    const FIELD: std::ops::RangeInclusive<u32> = 0..=5;
    const LOCAL_TYPE: u32 = 6;
    const TYPES: [u32; 4] = [7, 8, 9, 12];
    const ENUM_VALUES: [u32; 2] = [10, 11];

    let access = btf.string(record.access);
    let kind = record.kind;
    if kind == LOCAL_TYPE {
        return None;
    }
    let (_, root) = btf.resolve(record.type_id)?;
    let name = flavourless(btf.name(btf.unqualified(record.type_id)?));
    if TYPES.contains(&kind) {
        return (!name.is_empty()).then(|| name.to_owned());
    }
    if ENUM_VALUES.contains(&kind) {
        let index: usize = access.parse().ok()?;
        let Kind::Enum { names, .. } = &root.kind else {
            return None;
        };
        return Some(format!(
            "{name}::{}",
            flavourless(btf.string(*names.get(index)?))
        ));
    }
    if !FIELD.contains(&kind) || name.is_empty() {
        return None;
    }
    let path = field_path(btf, record.type_id, access)?;
    Some(if path.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{path}")
    })
}

/// Follows `0:1:2` through the members; array indices do not appear.
fn field_path(btf: &Btf, root: u32, access: &str) -> Option<String> {
    let mut path: Vec<&str> = Vec::new();
    let mut id = root;
    // The first index steps over an array of the root type.
    for step in access.split(':').skip(1).take(PATH) {
        let index: usize = step.parse().ok()?;
        let (_, found) = btf.resolve(id)?;
        match &found.kind {
            Kind::Struct { members, .. } => {
                let member = members.get(index)?;
                let name = btf.string(member.name);
                if !name.is_empty() {
                    path.push(name);
                }
                id = member.type_id;
            }
            Kind::Array { element, .. } => id = *element,
            _ => return None,
        }
    }
    Some(path.join("."))
}

/// `task_struct___old` is another shape of `task_struct`.
fn flavourless(name: &str) -> &str {
    name.split_once("___").map_or(name, |(name, _)| name)
}
