//! Functions written by `macro_rules!`, with names and types from either side.
use pool_core::{Pool, pool_task};

macro_rules! adder {
    ($name:ident, $arg:ident: $ty:ty, $lent:ty) => {
        #[pool_task]
        fn $name($arg: $ty, by: $ty, text: $lent) -> $ty {
            let sum = $arg + by;
            sum + text.len() as $ty
        }
    };
}

adder!(add, x: u32, &str);
adder!(join, by_: u64, &[u8]);

macro_rules! whole {
    ($($item:item)*) => { $(#[pool_task(timeout = "1s")] $item)* };
}

whole! {
    fn twice(x: u8) -> u8 {
        2 * x
    }

    fn zero() -> u8 {
        0
    }
}

macro_rules! same_name_twice {
    ($arg:ident) => {
        #[pool_task]
        fn subtract($arg: u8, x: u8) -> u8 {
            $arg - x
        }
    };
}

same_name_twice!(x);

macro_rules! inside {
    ($x:expr) => {{
        #[pool_task]
        fn hidden(x: u8) -> u8 {
            x + 1
        }
        Pool::inline().submit(hidden::task($x)).join().unwrap()
    }};
}

fn main() {
    let pool = Pool::inline();
    assert_eq!(pool.submit(add::task(1, 2, "ab")).join().unwrap(), 5);
    assert_eq!(pool.submit(join::task(1, 2, &[0])).join().unwrap(), 4);
    assert_eq!(pool.submit(twice::task(zero() + 2)).join().unwrap(), 4);
    assert_eq!(pool.submit(zero::task()).join().unwrap(), 0);
    assert_eq!(pool.submit(subtract::task(5, 3)).join().unwrap(), 2);
    assert_eq!(inside!(1) + inside!(2), 5);
}
