// SPDX-License-Identifier: Apache-2.0
//! What a program can do is derived from its code, and no more is claimed.

use bpf_object::inspect;
use registry_schema::profile::Privilege::{
    self, Drop, Mirror, ModifyPacket, Observe, PayloadOut, ReadUser, Redirect, WriteUser,
};

use crate::support::compile;

#[test]
fn each_program_gets_its_classes_and_no_others() {
    let profile = inspect(&compile("can", &[])).unwrap();
    let expected: [(&str, &[Privilege]); 13] = [
        ("pass", &[]),
        ("count", &[Observe]),
        ("drop", &[Drop]),
        ("drop_by_map", &[Observe, Drop]),
        ("write_packet", &[ModifyPacket]),
        ("write_packet_in_subprogram", &[ModifyPacket]),
        ("send_payload", &[Observe, PayloadOut]),
        ("send_elsewhere", &[Redirect]),
        ("mirror", &[Mirror]),
        ("shoot", &[Drop]),
        ("leave_to_others", &[]),
        ("read_user", &[Observe, ReadUser]),
        ("write_user", &[Observe, WriteUser]),
    ];
    let found: Vec<(&str, &[Privilege])> = profile
        .programs
        .iter()
        .map(|program| (program.function.as_str(), program.privileges.as_slice()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(
        profile.privileges,
        [
            Observe,
            ReadUser,
            PayloadOut,
            ModifyPacket,
            Drop,
            Redirect,
            Mirror,
            WriteUser
        ]
    );
}

#[test]
fn the_attach_point_is_suggested_by_the_section() {
    let profile = inspect(&compile("can", &[])).unwrap();
    let program = profile
        .programs
        .iter()
        .find(|program| program.function == "read_user")
        .unwrap();
    assert_eq!(
        program.suggested_attach.as_deref(),
        Some("syscalls/sys_enter_openat")
    );
    assert_eq!(
        program.kernel_floor.as_ref().unwrap().reason,
        "helper `ringbuf_output`"
    );
}
