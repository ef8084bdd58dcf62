use pool_core::pool_task;

#[pool_task]
fn read(path: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    Ok(std::fs::read_to_string(path)?)
}

fn main() {}
