//! A program that does not name the crate that it depends on, and so does not have its tasks.

fn main() {
    let tasks = pool_core::tasks().into_iter();
    let count = tasks
        .filter(|task| task.name().starts_with("pool_tests::"))
        .count();
    println!("{count} tasks");
}
