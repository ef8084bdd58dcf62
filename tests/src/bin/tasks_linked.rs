//! A program that names a crate for its tasks alone.

pool_core::use_tasks!(pool_tests);

fn main() {
    for task in pool_core::tasks() {
        println!("{}", task.name());
    }
}
