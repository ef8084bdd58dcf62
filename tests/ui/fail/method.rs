use pool_core::pool_task;

struct Counter(u32);

impl Counter {
    #[pool_task]
    fn add(&self, by: u32) -> u32 {
        self.0 + by
    }

    #[pool_task]
    fn new(start: u32) -> Self {
        Counter(start)
    }
}

fn main() {}
