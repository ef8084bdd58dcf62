//! A broken network: stands between clients and a server, cuts their connections, freezes them,
//! and loses one message.
//!
//! It reads what the server says message by message, so it is for connections without TLS.

use std::collections::HashMap;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Server;
use super::wire::Piece;

/// How long the server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// A proxy, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing moves, in either direction.
    frozen: bool,
    /// New connections are closed at once.
    refusing: bool,
    ended: bool,
    /// Both ends of what is connected.
    connections: HashMap<u64, [TcpStream; 2]>,
    accepted: u64,
    /// A message with this in its payload is to be lost.
    unwanted: Option<Vec<u8>>,
    dropped: u64,
}

impl Proxy {
    /// Stands before a server from now on.
    ///
    /// # Panics
    /// When the system has no port or thread for it.
    #[must_use]
    pub fn start(server: &Server) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: server.address(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accept = {
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        };
        let acceptor = thread::Builder::new().name("proxy".into()).spawn(accept);
        Self {
            address,
            shared,
            acceptor: Some(acceptor.unwrap()),
        }
    }

    /// Where clients connect to be behind it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Closes all connections. Clients may connect again.
    pub fn cut(&self) {
        self.shared.cut(&mut self.shared.state());
    }

    /// Closes all connections, and new ones as they come, until [`Proxy::accept`].
    pub fn refuse(&self) {
        let mut state = self.shared.state();
        state.refusing = true;
        self.shared.cut(&mut state);
    }

    /// Lets clients connect again.
    pub fn accept(&self) {
        self.shared.state().refusing = false;
    }

    /// From now on nothing goes through, and nobody is told: connections stay, new ones are
    /// accepted and hear nothing.
    pub fn freeze(&self) {
        self.shared.state().frozen = true;
    }

    /// Everything that was held back goes through, and what comes.
    pub fn thaw(&self) {
        self.shared.state().frozen = false;
        self.shared.changed.notify_all();
    }

    /// Loses the next message from the server whose payload has this in it, and only that one.
    pub fn drop_message(&self, text: &str) {
        self.shared.state().unwanted = Some(text.as_bytes().to_vec());
    }

    /// How many messages were lost so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.state().dropped
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// How many clients have ever been.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.state().accepted
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.refuse();
        // Wakes it up.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self, state: &mut State) {
        for stream in state.connections.drain().flat_map(|(_, both)| both) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    /// Serves until the end, and waits for the connections' threads.
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut threads = Vec::new();
        for client in listener.incoming().flatten() {
            let state = self.state();
            if state.ended {
                break;
            }
            let refused = state.refusing;
            drop(state);
            if !refused {
                threads.extend(self.connect(client).into_iter().flatten());
            }
            threads.retain(|thread| !thread.is_finished());
        }
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// Joins a client to the server, with a thread for each direction.
    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<[JoinHandle<()>; 2]> {
        let server = TcpStream::connect_timeout(&self.server, CONNECT)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        let both = [client.try_clone()?, server.try_clone()?];
        let [from_client, to_server] = [client.try_clone()?, server.try_clone()?];
        let mut state = self.state();
        if state.refusing {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        state.accepted += 1;
        let number = state.accepted;
        state.connections.insert(number, both);
        drop(state);

        let name = |towards: &str| thread::Builder::new().name(format!("to {towards} {number}"));
        let (up, down) = (Arc::clone(self), Arc::clone(self));
        let up = move || {
            let _ = up.carry_up(number, from_client, to_server);
            up.close(number);
        };
        let down = move || {
            let _ = down.carry_down(number, server, client);
            down.close(number);
        };
        Ok([name("server").spawn(up)?, name("client").spawn(down)?])
    }

    /// One direction at its end ends the other.
    fn close(&self, number: u64) {
        for stream in self.state().connections.remove(&number).iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    /// Waits while everything is frozen; says whether the connection is still there.
    fn may_go_on(&self, number: u64) -> bool {
        let state = self.state();
        let is_held = |state: &mut State| state.frozen && state.connections.contains_key(&number);
        let state = self.changed.wait_while(state, is_held);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.connections.contains_key(&number)
    }

    fn carry_up(&self, number: u64, mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let count = from.read(&mut bytes)?;
            if count == 0 || !self.may_go_on(number) {
                return Ok(());
            }
            to.write_all(&bytes[..count])?;
        }
    }

    fn carry_down(&self, number: u64, from: TcpStream, to: TcpStream) -> io::Result<()> {
        let mut from = BufReader::with_capacity(64 << 10, from);
        let mut to = BufWriter::with_capacity(64 << 10, to);
        while let Some(piece) = Piece::read(&mut from)? {
            if !self.may_go_on(number) {
                break;
            }
            if !self.loses(&piece) {
                to.write_all(&piece.line)?;
                to.write_all(&piece.body)?;
            }
            if from.buffer().is_empty() {
                to.flush()?;
            }
        }
        to.flush()
    }

    fn loses(&self, piece: &Piece) -> bool {
        let mut state = self.state();
        let unwanted = state.unwanted.as_deref();
        let loses = unwanted.is_some_and(|text| piece.contains(text));
        if loses {
            state.unwanted = None;
            state.dropped += 1;
        }
        loses
    }
}
