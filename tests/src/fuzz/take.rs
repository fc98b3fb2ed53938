//! Choices out of bytes: a thin cover over [`arbitrary`], which gives zeros when the bytes are used up.

use arbitrary::{Arbitrary, Unstructured};

/// Takes values from bytes.
pub struct Take<'a>(Unstructured<'a>);

impl<'a> Take<'a> {
    /// Begins.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// Whether nothing is left.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Any value.
    pub fn any<T: Arbitrary<'a>>(&mut self) -> T {
        self.0.arbitrary().expect("numbers and arrays can be made of anything")
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        let number = if bound <= 256 { u64::from(self.any::<u8>()) } else { self.any() };
        number % bound.max(1)
    }

    /// One of some values.
    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    /// True one time in so many.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 1
    }

    /// At most so many bytes.
    pub fn bytes(&mut self, max: usize) -> &'a [u8] {
        let wanted = self.below(max as u64 + 1) as usize;
        self.0.bytes(wanted.min(self.0.len())).expect("so many are left")
    }

    /// Text of at most so many bytes.
    pub fn text(&mut self, max: usize) -> String {
        String::from_utf8_lossy(self.bytes(max)).into_owned()
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0.take_rest()
    }
}
