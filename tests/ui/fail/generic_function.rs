use pool_core::pool_task;

#[pool_task]
fn largest<T: Ord, const N: usize>(items: [T; N]) -> Option<T> {
    items.into_iter().max()
}

fn main() {}
