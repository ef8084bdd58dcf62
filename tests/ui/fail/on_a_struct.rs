use pool_core::pool_task;

#[pool_task]
#[derive(Debug)]
struct Resize {
    width: u32,
}

#[pool_task]
mod tasks {
    pub fn one() {}
}

#[pool_core::main]
struct App;

fn main() {}
