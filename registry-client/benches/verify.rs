// SPDX-License-Identifier: Apache-2.0
//! The whole decision about a version that is at hand: root, signature, contents, log proof
//! and a feed of a thousand revocations. Prints what this machine did.

#[path = "../tests/decision/version.rs"]
mod version;

use std::time::Instant;

use registry_client::{sign::KeyPair, verify::verify};
use registry_schema::{TrustLevel, signature::KeyType};

const TIMES: u32 = 1000;

fn main() {
    for key_type in [KeyType::EcdsaP256, KeyType::Ed25519] {
        let key = KeyPair::generate(key_type).expect("a key");
        let (fetched, basis) = (version::package(&key, "1.0.0"), version::basis(&key));
        let asked = version::asked("demo/pass:1.0.0");
        let began = Instant::now();
        for _ in 0..TIMES {
            let verified = verify(&fetched, &asked, &basis).expect("it holds");
            assert_eq!(verified.level, TrustLevel::L2);
        }
        let each = began.elapsed().as_secs_f64() * 1000.0 / f64::from(TIMES);
        println!("verify, {key_type:?}, with proof and 1000 revocations: {each:.3} ms");
    }
}
