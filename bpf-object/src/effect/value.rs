// SPDX-License-Identifier: Apache-2.0
//! What a register may hold.

/// Most numbers that are told apart.
const NUMBERS: usize = 8;

/// A set of possibilities: kinds of pointers, and numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    kinds: u8,
    /// Sorted; `None` means any number.
    numbers: Option<Vec<i32>>,
}

/// Kinds of pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stack = 1,
    Context = 2,
    Packet = 4,
    /// Map values, global variables, and what helpers return.
    Memory = 8,
}

impl Value {
    /// Nothing: no path leads here yet.
    pub(super) fn none() -> Self {
        Self {
            kinds: 0,
            numbers: Some(Vec::new()),
        }
    }

    /// Any number.
    pub(super) fn any() -> Self {
        Self {
            kinds: 0,
            numbers: None,
        }
    }

    pub(super) fn number(number: i32) -> Self {
        Self {
            kinds: 0,
            numbers: Some(vec![number]),
        }
    }

    pub(super) fn pointer(kind: Kind) -> Self {
        Self {
            kinds: kind as u8,
            numbers: Some(Vec::new()),
        }
    }

    /// Whether it may be a pointer of this kind.
    pub(super) fn may_be(&self, kind: Kind) -> bool {
        self.kinds & kind as u8 != 0
    }

    /// Whether it can be no pointer.
    pub(super) fn is_number(&self) -> bool {
        self.kinds == 0
    }

    /// The numbers that it may be; `None` means any.
    pub(super) fn numbers(&self) -> Option<&[i32]> {
        self.numbers.as_deref()
    }

    /// Adds the other's possibilities; tells whether any are new.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let before = (self.kinds, self.numbers.as_ref().map(Vec::len));
        self.kinds |= other.kinds;
        match (&mut self.numbers, &other.numbers) {
            (Some(own), Some(others)) => {
                own.extend(others);
                own.sort_unstable();
                own.dedup();
                if own.len() > NUMBERS {
                    self.numbers = None;
                }
            }
            (own, _) => *own = None,
        }
        before != (self.kinds, self.numbers.as_ref().map(Vec::len))
    }

    /// The result of arithmetic with another value: still points where either did.
    pub(super) fn combine(&self, other: &Self) -> Self {
        Self {
            kinds: self.kinds | other.kinds,
            numbers: None,
        }
    }

    /// Applies an operation to each number; pointers stay what they are.
    pub(super) fn map(&self, operation: impl Fn(i32) -> Option<i32>) -> Self {
        let numbers = self.numbers.as_ref().and_then(|numbers| {
            let mut numbers = numbers
                .iter()
                .map(|number| operation(*number))
                .collect::<Option<Vec<i32>>>()?;
            numbers.sort_unstable();
            numbers.dedup();
            Some(numbers)
        });
        Self {
            kinds: self.kinds,
            numbers,
        }
    }
}
