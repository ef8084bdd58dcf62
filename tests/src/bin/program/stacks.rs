//! Tasks that need much of the stack.

use pool_core::{Pool, pool_task};
use pool_tests::tasks::add;

/// Calls itself until so many bytes of the stack are in use, and returns how many those are.
#[pool_task]
fn deep(bytes: usize) -> usize {
    fn go_on(from: usize, bytes: usize) -> usize {
        let here = [0_u8; 1 << 10];
        let used = std::hint::black_box(&here).as_ptr().addr().abs_diff(from);
        match used < bytes {
            true => std::hint::black_box(go_on(from, bytes)),
            false => used,
        }
    }
    let from = 0_u8;
    go_on(std::ptr::from_ref(&from).addr(), bytes)
}

/// Says for a task that uses so much of the stack how it went.
pub(crate) fn uses(backend: &str, mib: &str) {
    let bytes = mib.parse::<usize>().unwrap() << 20;
    let pool = Pool::builder().backend(backend.parse().unwrap()).workers(2);
    let pool = pool.build().unwrap();
    match pool.submit(deep::task(bytes)).join() {
        Ok(used) => assert!(used >= bytes),
        Err(error) => {
            assert!(error.is_worker_lost(), "{error}");
            println!("lost");
        }
    }
    assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
    println!("done");
}
