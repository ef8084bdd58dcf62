use pool_core::pool_task;

#[pool_task]
fn read(path: &str) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(path)?)
}

fn main() {}
