//! A task can stand in a function, after other statements, and use the function's own types.
use pool_core::{Pool, pool_task};

fn main() {
    let expected = 3;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Local(u32);

    #[pool_task]
    fn inner(x: Local, add: u32) -> u32 {
        x.0 + add
    }

    let found = Pool::inline().submit(inner::task(Local(1), 2)).join();
    assert_eq!(found.unwrap(), expected);
    assert_eq!(inner(Local(1), 2), expected);
}
