//! The surroundings of the cluster backend's tests: servers, three of them together, what lies
//! between them and their clients, and somebody who looks at them without our own client.
//!
//! A server is the program in `NATS_SERVER`, else the `nats-server` of the system; `.ci/nats` gets
//! those of all versions that count. Everything listens on loopback addresses, and ends with what
//! started it: on drop, or when the process of the test dies.

mod jetstream;
mod launch;
mod options;
mod ports;
mod probe;
mod proxy;
mod server;
#[cfg(test)]
mod tests;
mod trio;
mod wire;

pub use jetstream::queue_name;
pub use options::Options;
pub use probe::{Message, Probe};
pub use proxy::Proxy;
pub use server::Server;
pub use trio::Trio;
