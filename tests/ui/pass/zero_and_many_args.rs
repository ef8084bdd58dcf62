//! From no argument to sixteen, all the way to a worker process.
use pool_core::{Pool, pool_task};

#[pool_task]
fn none() {}

#[pool_task]
fn one(x: u8) -> (u8,) {
    (x,)
}

#[pool_task]
fn many(
    a: u8, b: &str, c: u16, d: char, e: &[u8], f: u64, g: i8, h: i16,
    i: i32, j: i64, k: f32, l: f64, m: bool, n: String, o: Vec<u8>, p: Option<u8>,
) -> String {
    format!("{a}{b}{c}{d}{e:?}{f}{g}{h}{i}{j}{k}{l}{m}{n}{o:?}{p:?}")
}

#[pool_core::main]
fn main() {
    let pool = Pool::processes().unwrap();
    let () = pool.submit(none::task()).join().unwrap();
    let () = pool.submit(none {}).join().unwrap();
    assert_eq!(pool.submit(one::task(1)).join().unwrap(), (1,));
    let task = many::task(
        0, "1", 2, '3', &[4], 5, 6, 7, 8, 9, 10.0, 11.0, true, "13".into(), vec![14], Some(15),
    );
    let text = pool.submit(task).join().unwrap();
    assert_eq!(text, "0123[4]5678910" .to_owned() + "11true13[14]Some(15)");
}
