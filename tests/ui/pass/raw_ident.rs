//! Raw identifiers are names like any other; the task's own name is without `r#`.
use pool_core::{Pool, Task, pool_task};

#[pool_task]
fn r#type(r#match: &str, r#fn: u32) -> String {
    r#match.repeat(r#fn as usize)
}

mod r#mod {
    #[pool_core::pool_task]
    pub fn r#impl() {}
}

fn main() {
    assert!(r#type::NAME.ends_with("::type"), "{}", r#type::NAME);
    assert!(r#mod::r#impl::NAME.ends_with("mod::impl"), "{}", r#mod::r#impl::NAME);
    let text = Pool::inline().submit(r#type::task("ab", 2)).join().unwrap();
    assert_eq!(text, r#type("ab", 2));
    let _ = r#type { r#match: String::new(), r#fn: 1 };
}
