use pool_core::pool_task;

#[pool_task]
#[target_feature(enable = "sse2")]
fn sum(numbers: &[f32]) -> f32 {
    numbers.iter().sum()
}

fn main() {}
