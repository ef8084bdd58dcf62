//! Seeds for the random numbers of tasks: each item of a map has its own, which follows from the
//! map's root seed and the item's index, and from nothing else.

use std::hash::{BuildHasher, RandomState};

/// How many bytes a seed takes behind the arguments that it travels with.
const LEN: usize = size_of::<u64>();

/// The seeds of consecutive items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seeds {
    root: u64,
    /// The index of the first item.
    first: u64,
}

impl Seeds {
    /// Those of all items.
    pub(crate) fn new(root: u64) -> Self {
        Self { root, first: 0 }
    }

    /// Those of the items from this one on.
    pub(crate) fn from(self, item: usize) -> Self {
        Self {
            first: self.first.wrapping_add(item as u64),
            ..self
        }
    }

    /// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014):
    /// the output number `item` of the generator that starts from the root. No two items of one root
    /// have the same.
    pub(crate) fn of(self, item: usize) -> u64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let step = self.first.wrapping_add(item as u64).wrapping_add(1);
        let mut z = self.root.wrapping_add(step.wrapping_mul(GAMMA));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Another one each time.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// A seed as it travels: behind the arguments of its task.
pub(crate) fn to_bytes(seed: u64) -> [u8; LEN] {
    seed.to_le_bytes()
}

/// Arguments and the seed behind them; `None` if the bytes are too short for one.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], u64)> {
    let (args, seed) = bytes.split_last_chunk()?;
    Some((args, u64::from_le_bytes(*seed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_those_of_splitmix64() {
        // The first outputs of the reference implementation
        // (https://prng.di.unimi.it/splitmix64.c) for the state 1234567.
        let seeds = Seeds::new(1_234_567);
        let first: Vec<_> = (0..5).map(|item| seeds.of(item)).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn a_part_has_the_seeds_of_the_whole() {
        let seeds = Seeds::new(7);
        assert_eq!(seeds.from(3).from(2).of(4), seeds.of(9));
        assert_ne!(seeds.of(0), Seeds::new(8).of(0));
    }

    #[test]
    fn a_seed_travels_behind_arguments() {
        let mut bytes = b"args".to_vec();
        bytes.extend(to_bytes(u64::MAX - 5));
        assert_eq!(split(&bytes), Some((&b"args"[..], u64::MAX - 5)));
        assert_eq!(split(b"short"), None);
    }
}
