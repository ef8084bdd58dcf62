//! A program whose workers need some time before they say hello.

use std::thread::sleep;
use std::time::Duration;

use pool_core::{Backend, Pool};

fn main() {
    sleep(Duration::from_millis(300));
    pool_core::init();
    println!("building");
    let builder = Pool::builder().backend(Backend::Processes).workers(2);
    let pool = builder.start_timeout(Duration::from_secs(2)).build();
    println!("{:?}", pool.map(|pool| pool.workers()));
}
