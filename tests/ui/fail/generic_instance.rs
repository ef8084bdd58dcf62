use pool_core::pool_task;

struct Opaque;

#[pool_task(types(u8, Opaque))]
fn count<T>(items: Vec<T>) -> usize {
    items.len()
}

#[pool_task(types(u8, String))]
fn double<T: Copy + std::ops::Add<Output = T>>(x: T) -> T {
    x + x
}

#[pool_task(types(u8))]
fn read<T: Copy>(x: T) -> std::io::Result<T> {
    Ok(x)
}

fn main() {}
