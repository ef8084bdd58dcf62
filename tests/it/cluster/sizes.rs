//! Arguments and results of every size, and servers that let little through.

use super::cases;

cases! {
    every_size_goes_both_ways;
    every_size_goes_through_a_server_that_lets_little_through;
    many_results_together_go_through_a_server_that_lets_little_through;
}

mod cases {
    use pool_tests::nats::Server;
    use pool_tests::tasks::echo;

    use crate::cluster::support::{agent, pool, until_queue_is_empty};

    /// What stands in a message, with what is before it, and what does not.
    const SIZES: [usize; 7] = [
        0,
        1,
        (512 << 10) - 100,
        512 << 10,
        (512 << 10) + 1,
        1 << 20,
        20 << 20,
    ];

    fn bytes(size: usize) -> Vec<u8> {
        (0..size).map(|at| (at % 251) as u8).collect()
    }

    fn go_both_ways(server: &Server, sizes: &[usize]) {
        let _agents = [agent(&server.url()), agent(&server.url())];
        let pool = pool(&server.url());
        let handles: Vec<_> = sizes
            .iter()
            .map(|size| pool.submit(echo::task(bytes(*size))))
            .collect();
        for (size, handle) in sizes.iter().zip(handles) {
            let result = handle.join().unwrap();
            assert!(result == bytes(*size), "{size} bytes");
        }
        until_queue_is_empty(&mut server.probe());
    }

    fn with_little() -> Server {
        Server::options().config("max_payload: 65536").start()
    }

    pub(super) fn every_size_goes_both_ways() {
        go_both_ways(&Server::start(), &SIZES);
    }

    pub(super) fn every_size_goes_through_a_server_that_lets_little_through() {
        let half = 32 << 10;
        go_both_ways(
            &with_little(),
            &[0, 1, half - 100, half, half + 1, 65536, 512 << 10, 8 << 20],
        );
    }

    pub(super) fn many_results_together_go_through_a_server_that_lets_little_through() {
        go_both_ways(&with_little(), &[20 << 10; 200]);
    }
}
