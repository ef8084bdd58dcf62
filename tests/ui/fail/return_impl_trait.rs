use pool_core::pool_task;

#[pool_task]
fn evens(limit: u32) -> impl Iterator<Item = u32> {
    (0..limit).step_by(2)
}

fn main() {}
