use pool_core::pool_task;

#[pool_task(types(u8))]
fn plain(x: u8) -> u8 {
    x
}

#[pool_task(types())]
fn empty<T: Default>() -> T {
    T::default()
}

#[pool_task(types(u8, u16, u8, &'static str))]
fn listed_twice<T: Default>() -> T {
    T::default()
}

#[pool_task(types(u8, (u8, 4, u8)))]
fn of_two<T, const N: usize>(items: Vec<T>) -> usize {
    items.len() * N
}

#[pool_task(types = "u8")]
fn as_a_value<T: Default>() -> T {
    T::default()
}

fn main() {}
