//! A task is as visible as its function, and so are its fields.
use pool_core::{Pool, pool_task};

mod outer {
    pub(crate) mod inner {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Hidden(u8);

        #[pool_core::pool_task]
        fn with_hidden(hidden: Hidden) -> u8 {
            hidden.0
        }

        #[pool_core::pool_task]
        pub(in crate::outer) fn for_outer(x: u8) -> u8 {
            x
        }

        #[pool_core::pool_task]
        pub(super) fn for_super(x: u8) -> u8 {
            for_outer(x) + with_hidden(Hidden(1))
        }

        pub(crate) fn task() -> impl pool_core::Task<Output = u8> {
            with_hidden::task(Hidden(7))
        }
    }

    pub(crate) fn task() -> impl pool_core::Task<Output = u8> {
        inner::for_super { x: inner::for_outer::task(1).x }
    }
}

#[pool_task]
pub(self) fn own(x: u8) -> u8 {
    x
}

fn main() {
    let pool = Pool::inline();
    assert_eq!(pool.submit(outer::task()).join().unwrap(), 2);
    assert_eq!(pool.submit(outer::inner::task()).join().unwrap(), 7);
    assert_eq!(pool.submit(own::task(3)).join().unwrap(), 3);
}
