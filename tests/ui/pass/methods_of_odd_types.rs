//! What an `impl` says of its own type holds for the tasks, which stand beside it.
#![forbid(unsafe_code)]
#![deny(warnings, unused_qualifications)]

use inside::Elsewhere;
use pool_core::{Pool, Task, pool_task};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Wrapped<T>(T);

// `Self` in bounds of the `impl` and of a method.
#[pool_task(types(u8))]
impl<T> Wrapped<T>
where
    Self: Clone,
    T: Into<<Self as Sum>::Of>,
{
    fn total(&self, (first, others): (Self, Vec<Self>)) -> u64
    where
        Self: Sized,
    {
        let all = others.into_iter().chain([first, self.clone()]);
        all.map(|Self(x)| x.into()).sum()
    }
}

trait Sum {
    type Of;
}

impl<T> Sum for Wrapped<T> {
    type Of = u64;
}

#[deprecated]
#[derive(Clone, Serialize, Deserialize)]
struct Old;

#[allow(deprecated)]
#[pool_task]
impl Old {
    fn again(&self) -> Self {
        self.clone()
    }
}

mod inside {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Elsewhere(pub(crate) u8);
}

#[allow(unused_qualifications)]
#[pool_task]
impl inside::Elsewhere {
    fn most(&self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

// Some instances of a type, with functions of one name: they are tasks of their own.
#[pool_task]
impl Wrapped<i64> {
    fn half(&self) -> i64 {
        self.0 / 2
    }
}

#[pool_task]
impl Wrapped<[f64; 2]> {
    #[pool_task(task = Halves)]
    fn half(&self) -> [f64; 2] {
        self.0.map(|x| x / 2.0)
    }
}

fn run<T: Task>(task: T) -> T::Output {
    Pool::inline().submit(task).join().unwrap()
}

fn main() {
    let all = (Wrapped(2), vec![Wrapped(3)]);
    assert_eq!(run(Wrapped_total::task(&Wrapped(1_u8), all)), 6);
    #[allow(deprecated)]
    let _: Old = run(Old_again::task(&Old));
    assert_eq!(run(Wrapped_half::task(&Wrapped(7))), 3);
    assert_eq!(run(Halves::task(&Wrapped([7.0, 1.0]))), [3.5, 0.5]);
    assert!(Wrapped_half::NAME.ends_with("::Wrapped<i64>::half"));
    assert!(Halves::NAME.ends_with("::Wrapped<[f64; 2]>::half"));
    assert!(Wrapped_total::<u8>::NAME.ends_with("::Wrapped::total<u8>"));
    assert_eq!(run(Elsewhere_most::task(&Elsewhere(1), Elsewhere(2))).0, 2);
}
