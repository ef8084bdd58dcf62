//! Ports of the loopback address that nobody else takes, not even while their server is down.
//!
//! They lie below those that the system gives to outgoing connections: a client that keeps trying
//! a port of its own range would some day be connected to itself, and hold the port. Whoever has a
//! port listens to the same number on a second address for as long, which tells other tests, in
//! this process and in others.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const FIRST: u32 = 16_000;
const COUNT: u32 = 16_000;
const CLAIMS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);

/// A port that is this test's until this is dropped.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _claim: TcpListener,
}

impl Port {
    /// One that is free.
    pub(super) fn free() -> Self {
        static TRIED: AtomicU32 = AtomicU32::new(0);
        // Processes begin at places of their own.
        let begin = process::id().wrapping_mul(97);
        for _ in 0..COUNT {
            let at = begin.wrapping_add(TRIED.fetch_add(1, Relaxed)) % COUNT;
            let number = u16::try_from(FIRST + at).expect("all of them are ports");
            if let Ok(port) = Self::claim(number) {
                return port;
            }
        }
        panic!("no port of {FIRST} to {} is free", FIRST + COUNT)
    }

    /// This one.
    ///
    /// # Errors
    /// Somebody has it.
    pub(super) fn claim(number: u16) -> io::Result<Self> {
        let claim = TcpListener::bind((CLAIMS, number))?;
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, number))?);
        Ok(Self {
            number,
            _claim: claim,
        })
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}
