//! Generic functions: bounds of every kind, constants, unsized parameters, unused ones.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub)]

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use pool_core::{Pool, Task, pool_task};

mod inner {
    pub trait Named {
        const NAME: &'static str;
    }

    impl Named for u8 {
        const NAME: &'static str = "u8";
    }
}

/// Its bound is a private trait.
#[pool_task(types(u8))]
pub fn name<T: inner::Named>() -> String {
    T::NAME.to_owned()
}

/// Counts.
#[pool_task(types((char, 2), (String, 3),))]
fn counted<'a, K, const N: usize>(keys: &'a [K]) -> HashMap<K, usize>
where
    K: 'a + 'static + Clone + Eq + Hash + for<'x> PartialEq<K> + Debug,
    &'a K: Debug,
    Vec<K>: Clone,
{
    let mut counts = HashMap::new();
    for key in keys.to_vec() {
        *counts.entry(key).or_default() += N;
    }
    counts
}

macro_rules! listed {
    ($($ty:ty),*) => {
        #[pool_task(types($($ty),*))]
        fn from_a_macro<T: Default>() -> T {
            T::default()
        }
    };
}
listed!(u8, Vec<(u8, String)>);

/// Runs any task.
fn run<T: Task>(task: T) -> T::Output {
    Pool::inline().submit(task).join().unwrap()
}

fn main() {
    #[pool_task(types(u8))]
    fn local<T: Into<u64>>(x: T) -> u64 {
        x.into()
    }

    assert_eq!(run(name::<u8>::task()), "u8");
    assert_eq!(run(counted::<_, 2>::task(&['a', 'a']))[&'a'], 4);
    assert_eq!(run(from_a_macro::<u8>::task()), 0);
    assert_eq!(run(local { x: 1 }), 1);
    assert_eq!(local::spawn(2).join().unwrap(), 2);
}
