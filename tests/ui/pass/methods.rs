//! The functions of an `impl`.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs)]

use pool_core::{Pool, pool_task};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Model<T> {
    weights: Vec<T>,
}

/// Documented.
#[pool_task(types(f32, f64), timeout = "10s")]
#[allow(clippy::needless_pass_by_value)]
impl<T> Model<T>
where
    T: Copy + Default + std::ops::Add<Output = T>,
{
    /// A constant that is no task.
    pub const LAYERS: usize = 2;

    /// Makes one.
    pub fn zeros(len: usize) -> Self {
        let weights = vec![T::default(); len];
        Self { weights }
    }

    /// A method.
    #[must_use]
    pub fn total(&self, this: T) -> T {
        self.weights.iter().fold(this, |sum, x| sum + *x)
    }

    #[pool_core::pool_task(task = Merged, retries = 2)]
    #[deprecated = "use another"]
    fn merged(self, other: &Self, [_, _]: [u8; 2]) -> Option<Self> {
        (self.weights.len() == other.weights.len()).then_some(self)
    }
}

mod inside {
    pub(crate) struct Plain;

    #[pool_core::pool_task]
    impl Plain {
        pub(crate) fn r#type(r#fn: u8) -> u8 {
            r#fn
        }

        pub(super) async fn later() {}
    }
}

#[allow(deprecated)]
fn main() {
    let pool = Pool::inline();
    let model = pool.submit(Model_zeros::<f32>::task(3)).join().unwrap();
    assert_eq!(pool.submit(Model_total::task(&model, 1.0)).join().unwrap(), 1.0);
    let merged = pool.submit(Merged::task(model.clone(), &model, [0; 2]));
    assert!(merged.join().unwrap().is_some());
    assert_eq!(pool.submit(inside::Plain_type::task(3)).join().unwrap(), 3);
    assert_eq!(inside::Plain::r#type(3), 3);
    pool.submit(inside::Plain_later::task()).join().unwrap();
}
