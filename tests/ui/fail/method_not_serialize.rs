use pool_core::pool_task;

struct Counter(u32);

#[pool_task]
impl Counter {
    fn plus(&self, by: u32) -> u32 {
        self.0 + by
    }
}

fn main() {}
