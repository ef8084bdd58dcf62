use pool_core::pool_task;

#[pool_task]
fn largest<T: Ord + Clone>(items: &[T]) -> Option<T> {
    items.iter().max().cloned()
}

#[pool_task]
fn first<T: Copy, const N: usize>(items: &[T]) -> [T; N] {
    [items[0]; N]
}

fn main() {}
