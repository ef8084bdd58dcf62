use pool_core::pool_task;

struct Page;

#[pool_task]
impl std::fmt::Display for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("page")
    }
}

fn main() {}
