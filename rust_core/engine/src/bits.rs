//! A growing set of small numbers, one bit each.

/// A bit set that grows as bits are set; a bit past its end is unset.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(crate) fn set(&mut self, bit: u32) {
        let word = (bit >> 6) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (bit & 63);
    }

    pub(crate) fn clear(&mut self, bit: u32) {
        if let Some(word) = self.words.get_mut((bit >> 6) as usize) {
            *word &= !(1 << (bit & 63));
        }
    }

    pub(crate) fn has(&self, bit: u32) -> bool {
        self.words
            .get((bit >> 6) as usize)
            .is_some_and(|word| word >> (bit & 63) & 1 == 1)
    }

    /// The bits in both sets, rising.
    pub(crate) fn both<'a>(&'a self, other: &'a Bits) -> impl Iterator<Item = u32> + 'a {
        self.words
            .iter()
            .zip(&other.words)
            .enumerate()
            .flat_map(|(index, (a, b))| {
                let mut word = a & b;
                std::iter::from_fn(move || {
                    if word == 0 {
                        return None;
                    }
                    let bit = word.trailing_zeros();
                    word &= word - 1;
                    Some(((index as u32) << 6) + bit)
                })
            })
    }
}
