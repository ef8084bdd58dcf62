use pool_core::{Pool, pool_task};

#[pool_task]
fn fib(n: u32) -> u64 {
    if n < 2 { 1 } else { fib(n - 1) + fib(n - 2) }
}

fn main() {
    let pool = Pool::inline();
    pool.submit(fib(10));
    pool.submit(fib);
}
