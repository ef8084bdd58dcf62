#[pool_core::main]
async fn main() {}
