//! The listed instances of generic functions, and the functions of an `impl`.

use std::fmt::{Debug, Display};
use std::ops::{Add, Mul};
use std::str::FromStr;

use pool_core::{TaskExt, pool_task};
use serde::{Deserialize, Serialize};

use crate::harness::On;

/// The sum of the squares.
#[pool_task(types(f32, f64))]
fn norm<T: Mul<Output = T> + Copy + std::iter::Sum>(values: Vec<T>) -> T {
    values.iter().map(|x| *x * *x).sum()
}

#[pool_task(types((f32, 4), (u8, 2)))]
fn cycled<'a, T, const N: usize>(values: &'a [T], _: &[u8; N]) -> Vec<<T as Add>::Output>
where
    T: Add + Copy + 'a,
{
    values.iter().map(|x| *x + *x).cycle().take(N).collect()
}

#[pool_task(types(str, [u8]))]
fn shown<T: ?Sized + Debug>(value: &T) -> String {
    format!("{value:?}")
}

#[pool_task(types(u8, String))]
fn defaults<T: Default + Display>(count: usize) -> Vec<String> {
    (0..count).map(|_| T::default().to_string()).collect()
}

#[pool_task(types({ 1 + 1 }, -3), name = "constants")]
fn constant<const N: i32>() -> i32 {
    N
}

/// A bound that names a lifetime of the function.
#[pool_task(types(u32))]
fn parsed<'de, T: Deserialize<'de> + Display + FromStr>(text: &'de str) -> Option<String> {
    Some(text.parse::<T>().ok()?.to_string())
}

#[pool_task(types((u8, u16), (u16, u32)), timeout = "30s")]
async fn widened<A: Into<B>, B>(value: A) -> B {
    value.into()
}

/// The argument is a type that only the bound names.
#[pool_task(types(std::vec::IntoIter<u8>))]
fn collected<I: IntoIterator>(items: Vec<I::Item>) -> usize
where
    I::Item: Copy,
{
    items.len()
}

pub(crate) fn run_as_listed(on: &On) {
    let pool = on.pool();
    assert_eq!(
        pool.submit(norm::task(vec![3.0_f32, 4.0])).join().unwrap(),
        25.0
    );
    assert_eq!(
        pool.submit(norm::<f64>::task(vec![3.0, 4.0]))
            .join()
            .unwrap(),
        25.0
    );
    let cycled = pool.submit(cycled::task(&[1.5_f32, 2.0], &[0; 4]));
    assert_eq!(cycled.join().unwrap(), [3.0, 4.0, 3.0, 4.0]);
    assert_eq!(pool.submit(shown::task("x")).join().unwrap(), "\"x\"");
    assert_eq!(
        pool.submit(shown::<[u8]>::task(&[1, 2])).join().unwrap(),
        "[1, 2]"
    );
    assert_eq!(
        pool.submit(defaults::<u8>::task(2)).join().unwrap(),
        ["0", "0"]
    );
    assert_eq!(
        pool.submit(defaults::<String>::task(1)).join().unwrap(),
        [""]
    );
    assert_eq!(pool.submit(constant::<2>::task()).join().unwrap(), 2);
    assert_eq!(pool.submit(constant::<-3>::task()).join().unwrap(), -3);
    let parsed = pool.submit(parsed::<u32>::task("012"));
    assert_eq!(parsed.join().unwrap().as_deref(), Some("12"));
    let collected = pool.submit(collected::<std::vec::IntoIter<u8>>::task(vec![1, 2]));
    assert_eq!(collected.join().unwrap(), 2);
    let wide: u16 = pool.submit(widened::task(7_u8)).join().unwrap();
    assert_eq!(wide, 7);
    // A literal of the struct, and options.
    let task = norm {
        values: vec![2.0_f64],
    }
    .retries(1);
    assert_eq!(pool.submit(task).join().unwrap(), 4.0);
    let tasks = (0..100).map(|i| norm::task(vec![f64::from(i)]));
    let sum: f64 = pool.map(tasks).map(Result::unwrap).sum();
    assert_eq!(sum, 328_350.0);
}

pub(crate) fn are_in_the_catalog_by_instance(_: &On) {
    let tasks = pool_core::tasks();
    let of = |name: &str| {
        let entry = tasks.iter().find(|task| task.name() == name);
        entry.unwrap_or_else(|| panic!("{name}")).signature()
    };
    let here = module_path!();
    assert_eq!(
        of(&format!("{here}::norm<f32>")),
        "fn norm<T = f32>(values: Vec<T>) -> T"
    );
    assert_eq!(
        of(&format!("{here}::cycled<f32, 4>")),
        "fn cycled<T = f32, N = 4>(values: &[T], arg1: &[u8; N]) -> Vec<<T as Add>::Output>"
    );
    assert_eq!(of("constants<-3>"), "fn constant<N = -3>() -> i32");
    assert_eq!(
        of(&format!("{here}::Scale::apply")),
        "fn Scale::apply(&self, value: u32) -> u32"
    );
    assert_eq!(
        of(&format!("{here}::Pair::cast<u8, u16>")),
        "fn Pair::cast<T = u8, U = u16>(&self) -> U"
    );
    assert!(!tasks.iter().any(|task| task.name().ends_with("norm")));
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Scale {
    factor: u32,
}

#[pool_task(timeout = "30s")]
impl Scale {
    const LEN: usize = 3;

    fn of(factor: u32) -> Self {
        Self { factor }
    }

    fn apply(&self, value: u32) -> u32 {
        self.factor * value
    }

    #[pool_task(name = "scale.grown", retries = 1)]
    fn grown(mut self, by: [u32; Self::LEN]) -> Option<Self> {
        self.factor += by.iter().sum::<u32>();
        Some(self)
    }

    #[cfg(any())]
    fn gone(&self) -> Nothing {}

    #[pool_task(task = Later)]
    async fn later(&self, text: &str) -> String {
        format!("{} {text}", self.factor)
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Pair<T> {
    first: T,
    second: T,
}

#[pool_task(types(u8, String))]
impl<T: Clone + Serialize> Pair<T>
where
    T: PartialOrd,
{
    fn smaller(self) -> T {
        if self.first < self.second {
            self.first
        } else {
            self.second
        }
    }

    #[pool_task(types((u8, u16)))]
    fn cast<U: From<T>>(&self) -> U {
        self.first.clone().into()
    }
}

pub(crate) fn methods_take_their_value_along(on: &On) {
    let pool = on.pool();
    let scale = pool.submit(Scale_of::task(4)).join().unwrap();
    assert_eq!(
        pool.submit(Scale_apply::task(&scale, 3)).join().unwrap(),
        12
    );
    assert_eq!(scale.apply(3), 12);
    let grown = pool.submit(Scale_grown::task(scale.clone(), [1, 2, 3]));
    assert_eq!(grown.join().unwrap(), Some(Scale { factor: 10 }));
    assert_eq!(pool.submit(Later::task(&scale, "x")).join().unwrap(), "4 x");
    let pair = Pair {
        first: 4_u8,
        second: 3,
    };
    assert_eq!(
        pool.submit(Pair_cast::<u8, u16>::task(&pair))
            .join()
            .unwrap(),
        4
    );
    assert_eq!(pool.submit(Pair_smaller::task(pair)).join().unwrap(), 3);
    let words = ["b", "a"].map(str::to_owned);
    let [first, second] = words;
    let smaller = pool.submit(Pair_smaller::task(Pair { first, second }));
    assert_eq!(smaller.join().unwrap(), "a");
}

pub(crate) fn know_their_names(_: &On) {
    fn name<T: pool_core::Task>() -> &'static str {
        T::NAME
    }
    assert_eq!(name::<norm<f32>>(), concat!(module_path!(), "::norm<f32>"));
    assert_eq!(name::<Scale_grown>(), "scale.grown");
    assert_eq!(name::<Later>(), concat!(module_path!(), "::Scale::later"));
}
