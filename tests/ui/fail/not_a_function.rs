use pool_core::pool_task;

#[pool_task]
struct Resize {
    width: u32,
}

#[pool_task]
const LIMIT: u32 = 1;

#[pool_core::test]
mod tests {}

fn main() {
    let _ = Resize { width: LIMIT };
}
