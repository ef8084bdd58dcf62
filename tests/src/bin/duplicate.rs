//! A program with two tasks of one name.

use pool_core::{Pool, pool_task};

#[pool_task(name = "the same")]
fn one() -> u32 {
    1
}

#[pool_task(name = "the same")]
fn other() -> u32 {
    2
}

#[pool_core::main]
fn main() {
    println!("{} {}", one(), other());
    println!("threads: {}", Pool::threads().expect_err("a duplicate"));
    println!("processes: {}", Pool::processes().expect_err("a duplicate"));
    println!("spawn: {}", one::spawn().join().expect_err("a duplicate"));
    println!(
        "inline: {}",
        Pool::inline()
            .submit(other::task())
            .join()
            .expect("a result")
    );
}
