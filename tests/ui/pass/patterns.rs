//! Arguments without a name of their own get one by position.
use pool_core::{Pool, pool_task};

struct Pair(u8, u8);

#[pool_task]
fn patterns((a, b): (u8, u8), _: u8, mut c: u8, arg0: u8, [d, ..]: [u8; 3], ref e: u8, f @ _: u8) -> u8 {
    c += 1;
    a + b + c + arg0 + d + *e + f
}

#[pool_task]
fn lent(&n: &u8, &(a, _): &(u8, u8)) -> u8 {
    n + a
}

fn main() {
    let Pair(a, b) = Pair(1, 2);
    let task = patterns { arg0_: (a, b), arg1: 3, c: 4, arg0: 5, arg4: [6, 7, 8], e: 9, f: 10 };
    let pool = Pool::inline();
    assert_eq!(pool.submit(task).join().unwrap(), patterns((1, 2), 3, 4, 5, [6, 7, 8], 9, 10));
    assert_eq!(pool.submit(lent::task(&1, &(2, 3))).join().unwrap(), 3);
}
