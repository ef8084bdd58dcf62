use pool_core::pool_task;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Counter(u32);

#[pool_task]
impl Counter {
    fn add(&mut self, by: u32) {
        self.0 += by;
    }

    fn boxed(self: Box<Self>) -> u32 {
        self.0
    }
}

fn main() {}
