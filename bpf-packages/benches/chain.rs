// SPDX-License-Identifier: Apache-2.0
//! What a chain costs: woven programs against the same programs behind calls.
//!
//! Each packet is one round of the kernel's own test run, which costs most of the
//! time in either case. The yardstick is one program, alone and not woven. All
//! variants take turns, and the middle of their rounds is compared.

use std::time::Duration;

use aya::programs::Xdp;
use bpf_packages::chain::{Chain, Member};
use bpf_packages::namespace::with_bpffs;
use bpf_packages::{object, packet};

const ROUNDS: u32 = 60;
const PACKETS: u32 = 100_000;

/// One way to run programs, and what a packet took in each round so far.
struct Way {
    run: Box<dyn FnMut() -> Duration>,
    times: Vec<Duration>,
}

impl Way {
    fn new(run: impl FnMut() -> Duration + 'static) -> Self {
        let run = Box::new(run);
        Self {
            run,
            times: Vec::new(),
        }
    }

    /// A program of the object, alone.
    fn direct(function: &str) -> Self {
        let mut ebpf = object::open(&source());
        let function = function.to_owned();
        Self::new(move || time(object::xdp(&mut ebpf, &function)))
    }

    /// The small program, `length` times in a chain.
    fn woven(length: usize, counted: bool) -> Self {
        let object = source();
        let step = Member {
            object: &object,
            function: "step",
        };
        let mut chain = Chain::load(&vec![step; length], counted);
        Self::new(move || time(chain.head()))
    }

    fn round(&mut self) {
        let time = (self.run)();
        self.times.push(time);
    }

    /// The mean of the middle half, in nanoseconds: without what interruptions cost,
    /// and finer than the single measures.
    fn middle(&mut self) -> f64 {
        self.times.sort_unstable();
        let half = self.times.iter().skip(self.times.len() / 4);
        let sum: Duration = half.take((ROUNDS / 2) as usize).sum();
        sum.as_secs_f64() * 1e9 / f64::from(ROUNDS / 2)
    }
}

fn source() -> Vec<u8> {
    object::compile("benches/chain.bpf.c")
}

/// The kernel's own measure, in whole nanoseconds per packet: seen from outside, a
/// test run also waits until every CPU has let go of the program before.
fn time(program: &Xdp) -> Duration {
    let result = object::run(program, &packet::syn(80), PACKETS);
    assert_eq!(result.return_value, object::XDP_PASS);
    result.duration
}

fn main() {
    // Tests of all targets start this too, without the flag that `cargo bench` gives.
    if std::env::args().any(|argument| argument == "--bench") {
        with_bpffs(compare);
    }
}

fn compare() {
    let mut alone = Way::direct("step");
    let lengths = [1, 4, 8];
    let mut rows = lengths.map(|length| {
        let calls = Way::direct(&format!("calls_{length}"));
        [Way::woven(length, false), Way::woven(length, true), calls]
    });
    for _ in 0..ROUNDS {
        alone.round();
        rows.iter_mut().flatten().for_each(Way::round);
    }
    let alone = alone.middle();
    println!("chain: time per packet against one program alone, test run included");
    println!("programs    woven  counted    calls   woven / calls");
    for (length, row) in lengths.iter().zip(&mut rows) {
        let [woven, counted, calls] = row.each_mut().map(|way| way.middle() / alone);
        let ratio = woven / calls;
        println!("{length:>8} {woven:>8.2} {counted:>8.2} {calls:>8.2} {ratio:>15.2}");
    }
}
