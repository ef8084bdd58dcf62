use pool_core::pool_task;

#[pool_task]
fn serve() -> ! {
    loop {}
}

fn main() {}
