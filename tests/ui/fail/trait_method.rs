use pool_core::pool_task;

trait Render {
    #[pool_task]
    fn render(page: u32) -> String;
}

fn main() {}
