//! `?` makes a `RemoteError` of every error, and everything takes one.
use std::error::Error;

use pool_core::{Failure, Pool, RemoteError, flatten, pool_task};

#[pool_task]
fn third(text: &str) -> Result<u8, RemoteError> {
    let word = text.split(' ').nth(2).ok_or("no third word")?;
    let number = word.parse::<u8>()?;
    Ok(checked(number)? + positive(number)?)
}

fn checked(number: u8) -> Result<u8, Box<dyn Error + Send + Sync>> {
    number.checked_mul(2).ok_or_else(|| format!("{number} is too much").into())
}

fn positive(number: u8) -> anyhow::Result<u8> {
    anyhow::ensure!(number > 0, "nothing");
    Ok(0)
}

fn boxed(pool: &Pool) -> Result<u8, Box<dyn Error>> {
    Ok(pool.submit(third::task("a b 3")).join()??)
}

fn with_anyhow(pool: &Pool) -> anyhow::Result<u8> {
    let result = pool.submit(third::task("a b 3")).join()?;
    Ok(result.map_err(RemoteError::into_error)? + flatten(pool.submit(third::task("a b 1")).join())?)
}

fn flat(pool: &Pool) -> Result<u8, Failure<RemoteError>> {
    Ok(flatten(pool.submit(third::task("a b c")).join())?)
}

fn main() {
    let pool = Pool::inline();
    assert_eq!(boxed(&pool).unwrap(), 6);
    assert_eq!(with_anyhow(&pool).unwrap(), 8);
    assert_eq!(flat(&pool).unwrap_err().to_string(), "invalid digit found in string");
}
