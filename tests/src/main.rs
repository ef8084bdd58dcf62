//! A program into which one source file is compiled twice: `mod tasks;` here and in the library, which
//! has the same name.

#[allow(dead_code, unreachable_pub)]
mod tasks;

use pool_core::{Backend, Pool};

#[pool_core::main]
fn main() {
    for backend in [Backend::Inline, Backend::Threads, Backend::Processes] {
        let pool = Pool::builder().backend(backend).workers(2).build();
        let pool = pool.expect("both are the same source");
        let own = pool.submit(tasks::add::task(1, 2)).join();
        let of_the_library = pool.submit(pool_tests::tasks::add::task(1, 2)).join();
        println!(
            "{backend}: {} {}",
            own.expect("a sum"),
            of_the_library.expect("a sum")
        );
    }
}
