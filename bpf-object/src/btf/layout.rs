// SPDX-License-Identifier: Apache-2.0
//! Where the numbers of a structure lie.

use registry_schema::profile::FieldProfile;

use super::{Btf, Kind};

/// Most numbers that one structure is taken apart into.
const FIELDS: usize = 256;
/// Longest path to a number, in bytes.
const PATH: usize = 256;
/// Most members looked at: nesting multiplies them.
const STEPS: usize = 4096;
/// How deeply structures are followed.
const DEPTH: usize = 8;

/// The numbers within a structure or union, with paths through its members.
/// Nothing for other types, and bit fields are left out.
pub(crate) fn numbers(btf: &Btf, id: u32) -> Vec<FieldProfile> {
    let mut found = Vec::new();
    let mut steps = 0;
    walk(btf, id, &mut Vec::new(), 0, &mut steps, &mut found);
    found
}

fn walk<'a>(
    btf: &'a Btf,
    id: u32,
    path: &mut Vec<&'a str>,
    offset: u32,
    steps: &mut usize,
    found: &mut Vec<FieldProfile>,
) {
    let Some((_, kind)) = btf.resolve(id) else {
        return;
    };
    match &kind.kind {
        Kind::Struct { members, .. } if path.len() < DEPTH => {
            for member in members {
                *steps += 1;
                let Some(offset) = offset
                    .checked_add(member.offset / 8)
                    .filter(|_| !member.bit_field)
                else {
                    continue;
                };
                if found.len() >= FIELDS || *steps > STEPS {
                    return;
                }
                path.push(btf.string(member.name));
                walk(btf, member.type_id, path, offset, steps, found);
                path.pop();
            }
        }
        Kind::Int { size, signed, .. } | Kind::Enum { size, signed, .. }
            if !path.is_empty() && matches!(size, 1 | 2 | 4 | 8) =>
        {
            let names: Vec<&str> = path
                .iter()
                .copied()
                .filter(|name| !name.is_empty())
                .collect();
            let path = names.join(".");
            if path.len() > PATH {
                return;
            }
            found.push(FieldProfile {
                path,
                offset,
                size: *size,
                signed: *signed,
            });
        }
        _ => {}
    }
}
