use pool_core::{Pool, pool_task};

#[pool_task(types(u8, String))]
fn largest<T: Ord + Clone>(items: &[T]) -> Option<T> {
    items.iter().max().cloned()
}

fn main() {
    let pool = Pool::inline();
    let _ = pool.submit(largest::task(&[1.to_string()]));
    let _ = pool.submit(largest::task(&[1_u64]));
}
