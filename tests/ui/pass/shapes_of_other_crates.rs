//! The shapes of functions in the tests of other crates' attributes, as tasks.
#![forbid(unsafe_code)]
#![deny(warnings)]

use std::marker::PhantomData;

use pool_core::{Pool, Task, pool_task};
use serde::{Deserialize, Serialize};

// tracing, `destructuring.rs`: everything taken apart behind a reference.
#[derive(Clone, Serialize, Deserialize)]
struct Line {
    from: Point,
    to: (i32, i32),
    color: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Point((i32, i32));

#[pool_task]
fn steps(&Line { from: Point((x, y)), to: (right, up), .. }: &Line) -> i32 {
    (right - x).abs() + (up - y).abs()
}

// memoize, `patterns.rs`: a name for the whole, and a pattern for its parts.
#[pool_task]
fn ends(all @ [first, .., last]: [u8; 4], _unused @ (_, _): (u8, u8)) -> usize {
    all.len() + usize::from(first + last)
}

// async-recursion, `lifetimes.rs`: an `async fn` that calls itself, with lifetimes that one
// argument outlives.
#[derive(Clone, Serialize, Deserialize)]
struct Tree<T> {
    value: T,
    below: Vec<Tree<T>>,
}

#[pool_task(types(u8, String))]
async fn depth_of<'a, 'b: 'a, T>(value: &'a T, tree: &'b Tree<T>) -> Option<usize>
where
    T: PartialEq + Clone + 'b,
{
    if tree.value == *value {
        return Some(0);
    }
    for below in &tree.below {
        if let Some(depth) = Box::pin(depth_of(value, below)).await {
            return Some(depth + 1);
        }
    }
    None
}

// async-trait, `test.rs`: an array of any length, a type that is only named, an empty tuple.
trait Unit {
    const NAME: &'static str;
}

struct Meter;

impl Unit for Meter {
    const NAME: &'static str = "m";
}

#[pool_task(types((f64, 3, Meter)))]
async fn sum_of<T: Copy + std::iter::Sum + ToString, const N: usize, U>(
    mut numbers: [T; N],
    _: PhantomData<U>,
    (): (),
) -> String
where
    U: Unit,
{
    numbers.reverse();
    numbers.into_iter().sum::<T>().to_string() + U::NAME
}

// async-trait, `test.rs`: a method that changes the `self` it takes, and returns it.
#[derive(Clone, Serialize, Deserialize)]
struct Stack<T>(Vec<T>);

#[pool_task(types(u16))]
impl<T> Stack<T>
where
    Vec<T>: Clone,
{
    async fn pushed(mut self, x: T) -> Self {
        self.0.push(x);
        self
    }

    // cached, `next_major_macro.rs`: a method of every value of a type.
    fn top(&self) -> Option<T> {
        let Self(items) = self;
        items.clone().pop()
    }
}

// test-case, `cases_support_generics`: types that become another.
struct Celsius(f64);

#[derive(Serialize, Deserialize)]
struct Fahrenheit(f64);

#[derive(Serialize, Deserialize)]
struct Kelvin(f64);

impl From<Fahrenheit> for Celsius {
    fn from(Fahrenheit(x): Fahrenheit) -> Self {
        Self((x - 32.0) / 1.8)
    }
}

impl From<Kelvin> for Celsius {
    fn from(Kelvin(x): Kelvin) -> Self {
        Self(x - 273.0)
    }
}

#[pool_task(types(Fahrenheit, Kelvin))]
fn celsius<T: Into<Celsius>>(input: T) -> f64 {
    input.into().0
}

// rstest, `dump_mut_args.rs`: attributes on arguments, of which some are `mut`.
#[pool_task]
fn counted(#[allow(unused_mut)] mut first: u32, #[cfg(all())] mut second: Vec<u32>, #[cfg(any())] third: &Nothing) -> usize {
    second.push(first);
    second.len()
}

// wasm-bindgen, `slice.rs`: functions that a macro makes, of types that it was given.
macro_rules! doubled {
    ($($(#[$attr:meta])* $vis:vis $name:ident: $number:ty;)*) => {$(
        #[pool_task]
        $(#[$attr])*
        $vis fn $name(numbers: &[$number]) -> Vec<$number> {
            numbers.iter().map(|x| x + x).collect()
        }
    )*};
}

doubled! {
    pub doubled_u8: u8;
    #[must_use]
    pub(self) doubled_f32: f32;
    pub(in crate) r#fn: i64;
}

// pyo3, `test_pyfunction.rs`: a type inside of the function, an optional argument.
#[pool_task(name = "struct")]
fn optional(r#struct: Option<bool>) -> String {
    #[derive(Debug)]
    struct Answer(#[allow(dead_code)] Option<bool>);
    format!("{:?}", Answer(r#struct))
}

// tokio, `macros_test.rs`: on one line, with the names of the prelude taken.
mod shadowed {
    #![allow(dead_code)]
    struct Result;
    struct Option;
    mod core {}
    mod std {}
    #[::pool_core::pool_task] pub(super) async fn one_line() -> usize { "hello".len() }
}

fn run<T: Task>(task: T) -> T::Output {
    Pool::inline().submit(task).join().unwrap()
}

fn main() {
    let line = Line { from: Point((1, 2)), to: (4, 6), color: String::new() };
    assert_eq!(run(steps::task(&line)), steps(&line));
    assert_eq!(line.color, "");

    assert_eq!(run(ends { all: [1, 2, 3, 4], _unused: (0, 0) }), 9);

    let leaf = Tree { value: 2, below: Vec::new() };
    let tree = Tree { value: 1, below: vec![leaf] };
    assert_eq!(run(depth_of::task(&2_u8, &tree)), Some(1));
    assert_eq!(run(depth_of::task(&3_u8, &tree)), None);

    let sum = sum_of::task([1.0, 2.0, 0.5], PhantomData::<Meter>, ());
    assert_eq!(run(sum), "3.5m");

    let stack = run(Stack_pushed::task(Stack(vec![1_u16]), 2));
    assert_eq!(run(Stack_top::task(&stack)), Some(2));

    assert_eq!(run(celsius::task(Fahrenheit(212.0))), 100.0);
    assert_eq!(run(celsius::task(Kelvin(273.0))), 0.0);

    assert_eq!(run(counted::task(1, vec![2])), 2);

    assert_eq!(run(doubled_u8::task(&[1, 2])), [2, 4]);
    assert_eq!(run(doubled_f32::task(&[0.5])), [1.0]);
    assert_eq!(run(r#fn::task(&[-1])), [-2]);

    assert_eq!(run(optional::task(Some(true))), "Answer(Some(true))");
    assert_eq!(optional::NAME, "struct");

    assert_eq!(run(shadowed::one_line::task()), 5);
}
