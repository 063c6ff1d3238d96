// SPDX-License-Identifier: Apache-2.0
//! The sliding window's arithmetic, to the nanosecond, in the kernel.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use aya::TestRunOptions;
use aya::programs::{TestRun as _, Xdp};
use bpf_packages::object;

const SECOND: u64 = 1_000_000_000;

/// A window as the map holds it, without its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    start: u64,
    current: u64,
    previous: u64,
}

/// The answer of the compiled code: the window moved on to `now`, and is there room?
fn ask(program: &Xdp, window: Window, now: u64, rate: u64) -> (Window, bool) {
    let question = [now, rate, window.start, window.current, window.previous];
    let question: Vec<u8> = question
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    let mut answer = vec![0; question.len()];
    let options = TestRunOptions {
        data_in: Some(&question),
        data_out: Some(&mut answer),
        ..TestRunOptions::default()
    };
    let verdict = program.test_run(options).unwrap().return_value;
    assert!(verdict <= 1, "the question is answered");
    let word = |n: usize| u64::from_ne_bytes(answer[n * 8..][..8].try_into().unwrap());
    (
        Window {
            start: word(2),
            current: word(3),
            previous: word(4),
        },
        verdict == 1,
    )
}

fn with_program(story: impl FnOnce(&Xdp)) {
    let mut ebpf = object::open(&object::compile("ratelimiting/tests/window.bpf.c"));
    story(object::xdp(&mut ebpf, "ask"));
}

#[test]
fn exactly_the_rate_fits_into_an_empty_second() {
    with_program(|program| {
        for rate in [1, 2, 3, 100, SECOND] {
            let window = |current| Window {
                start: 7 * SECOND,
                current,
                previous: 0,
            };
            for age in [0, 1, SECOND / 2, SECOND - 1] {
                let now = 7 * SECOND + age;
                assert!(
                    ask(program, window(rate - 1), now, rate).1,
                    "number {rate} at age {age}"
                );
                assert!(
                    !ask(program, window(rate), now, rate).1,
                    "number {rate} + 1 at age {age}"
                );
            }
        }
    });
}

#[test]
fn the_previous_second_makes_room_at_the_exact_nanosecond() {
    with_program(|program| {
        // Ten in the previous second at a rate of ten: the first fits when one
        // tenth of them has left the last second, the next after another tenth.
        let window = |current| Window {
            start: 0,
            current,
            previous: 10,
        };
        for accepted in 0..10 {
            let room_at = (accepted + 1) * SECOND / 10;
            assert!(
                !ask(program, window(accepted), room_at - 1, 10).1,
                "{accepted} accepted"
            );
            if room_at < SECOND {
                assert!(
                    ask(program, window(accepted), room_at, 10).1,
                    "{accepted} accepted"
                );
            }
        }
    });
}

#[test]
fn the_window_moves_at_its_border_and_not_a_nanosecond_earlier() {
    with_program(|program| {
        let window = Window {
            start: 5 * SECOND,
            current: 4,
            previous: 9,
        };
        let at = |now| ask(program, window, now, 100).0;
        assert_eq!(
            at(0),
            window,
            "a clock read before the window began moves nothing"
        );
        assert_eq!(at(5 * SECOND), window);
        assert_eq!(at(6 * SECOND - 1), window);
        let next = Window {
            start: 6 * SECOND,
            current: 0,
            previous: 4,
        };
        assert_eq!(at(6 * SECOND), next, "what was current is previous");
        assert_eq!(at(7 * SECOND - 1), next);
        let later = |start| Window {
            start,
            current: 0,
            previous: 0,
        };
        assert_eq!(
            at(7 * SECOND),
            later(7 * SECOND),
            "a second without any is forgotten"
        );
        assert_eq!(at(100 * SECOND + 1), later(100 * SECOND));
    });
}

#[test]
fn nothing_jumps_at_the_border() {
    with_program(|program| {
        // The last nanosecond of a window and the first of the next judge alike:
        // what the one still refuses by a hair, the other may only just admit.
        for (current, previous, rate) in [(5, 3, 5), (5, 3, 6), (0, 9, 1), (8, 8, 8), (7, 8, 8)] {
            let window = Window {
                start: 0,
                current,
                previous,
            };
            let before = ask(program, window, SECOND - 1, rate).1;
            let after = ask(program, window, SECOND, rate).1;
            let without_previous = current < rate;
            assert_eq!(after, without_previous, "{window:?} at {rate}");
            assert!(
                !before || after,
                "room does not vanish at the border: {window:?} at {rate}"
            );
        }
    });
}

#[test]
fn a_rate_of_zero_or_beyond_reach_limits_nothing() {
    with_program(|program| {
        let full = Window {
            start: 0,
            current: u64::MAX / 2,
            previous: u64::MAX / 2,
        };
        for rate in [0, SECOND + 1, u64::MAX] {
            assert!(ask(program, full, 1, rate).1, "rate {rate}");
        }
    });
}

#[test]
fn the_code_agrees_with_the_definition_everywhere() {
    with_program(|program| {
        let ages = [0, 1, 2, SECOND / 3, SECOND / 2, SECOND - 2, SECOND - 1];
        let counts = [0, 1, 2, 9, 10, 11, 999_999_999, SECOND];
        for age in ages {
            for current in counts {
                for previous in counts {
                    for rate in [1, 2, 10, 11, 20, 1_000_000, SECOND] {
                        let window = Window {
                            start: SECOND,
                            current,
                            previous,
                        };
                        let in_last_second = u128::from(previous) * u128::from(SECOND - age)
                            + u128::from(current + 1) * u128::from(SECOND);
                        let expected = in_last_second <= u128::from(rate) * u128::from(SECOND);
                        let (_, room) = ask(program, window, SECOND + age, rate);
                        assert_eq!(room, expected, "{window:?} at age {age}, rate {rate}");
                    }
                }
            }
        }
    });
}
