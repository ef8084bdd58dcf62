//! One nats-server with JetStream, which can be killed, stopped and started again.

use std::fs;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::ports::Port;
use super::{Options, Probe, launch, probe};
use crate::{proc, until, until_some};

/// How long a question to a server may take before it is asked again.
const ANSWER: Duration = Duration::from_secs(2);

/// A server of this test. On drop it is killed, and what it has stored is gone.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    folder: TempDir,
    store: PathBuf,
    port: Port,
    monitor: Port,
    name: String,
    version: [u32; 3],
    child: Option<Child>,
    stopped: bool,
}

impl Server {
    /// A server of which nothing special is wanted.
    ///
    /// # Panics
    /// As [`Options::start`].
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::options().start()
    }

    /// One of which something is.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    /// One that does not run yet.
    pub(super) fn of(options: &Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = options.port.map_or_else(Port::free, |number| {
            Port::claim(number).unwrap_or_else(|error| panic!("port {number}: {error}"))
        });
        let name = format!("test-{}", port.number());
        let store = options.store.clone();
        let server = Self {
            program: launch::program(),
            store: store.unwrap_or_else(|| folder.path().join("store")),
            folder,
            port,
            monitor: Port::free(),
            name,
            version: [0; 3],
            child: None,
            stopped: false,
        };
        let ours = [
            format!("server_name: {:?}", server.name),
            format!("listen: {:?}", server.port.address().to_string()),
            format!("http: {:?}", server.monitor.address().to_string()),
            format!("log_file: {:?}", server.file("log")),
        ];
        let config = options.text(&ours.join("\n"), &server.store);
        fs::write(server.file("config"), config).unwrap();
        server
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn launch(&mut self) {
        let started = launch::start(&self.program, &self.file("config"));
        self.child = Some(started.unwrap_or_else(|error| {
            panic!("setpriv, which starts {}: {error}", self.program.display())
        }));
        self.stopped = false;
    }

    /// It is when it accepts connections and says that it has JetStream.
    #[track_caller]
    pub(super) fn wait_until_ready(&mut self) {
        let info = until_some("the server serves", || {
            if let Some(status) = self.try_wait() {
                panic!("the nats-server has ended: {status}\n{}", self.log());
            }
            let info = self.ask_info().ok()?;
            assert_eq!(
                info["server_name"], *self.name,
                "another server has the port"
            );
            (info["jetstream"] == true).then_some(info)
        });
        let version = info["version"].as_str().unwrap_or_default();
        let mut numbers = version
            .split(['.', '-'])
            .map_while(|word| word.parse().ok());
        self.version = std::array::from_fn(|_| numbers.next().unwrap_or_default());
    }

    fn ask_info(&self) -> io::Result<Value> {
        let stream = TcpStream::connect_timeout(&self.address(), ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        probe::read_info(&mut BufReader::new(stream))
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// The same for a user with a password.
    #[must_use]
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("nats://{user}:{password}@{}", self.address())
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The name that it has for other servers.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, to be compared: `server.version() >= [2, 11, 0]`.
    #[must_use]
    pub fn version(&self) -> [u32; 3] {
        self.version
    }

    /// Its process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// Whether it runs and is not stopped.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.child.is_some() && !self.stopped
    }

    /// The folder of its streams.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.file("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A connection to it.
    ///
    /// # Panics
    /// When it does not let anybody in.
    #[must_use]
    #[track_caller]
    pub fn probe(&self) -> Probe {
        Probe::connect(&self.url()).unwrap_or_else(|error| panic!("{}: {error}", self.url()))
    }

    /// What its monitoring says: `/healthz`, `/jsz?consumers=true`.
    ///
    /// # Errors
    /// It does not answer.
    pub fn monitor(&self, path: &str) -> io::Result<Value> {
        let mut stream = TcpStream::connect_timeout(&self.monitor.address(), ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        serde_json::from_str(body).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }

    /// Kills it, and waits until it is gone. Not saved is what it had not written.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn kill(&mut self) {
        proc::kill(self.pid());
        self.wait();
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    #[track_caller]
    pub fn terminate(&mut self) {
        proc::signal(self.pid(), Signal::TERM);
        until("the server has ended", || self.try_wait().is_some());
    }

    /// Starts it again, on its port and with what it had stored.
    ///
    /// # Panics
    /// When it still runs, or does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the server still runs");
        self.launch();
        self.wait_until_ready();
    }

    /// Throws away what it had stored: its disk is lost.
    ///
    /// # Panics
    /// When it runs.
    #[track_caller]
    pub fn lose_disk(&mut self) {
        assert!(self.child.is_none(), "the server still runs");
        if self.store.exists() {
            fs::remove_dir_all(&self.store).unwrap();
        }
    }

    /// Stops it: it is there and says nothing, like one behind a broken network.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn stop(&mut self) {
        let pid = self.pid();
        proc::signal(pid, Signal::STOP);
        // One thread after the other stops; until then it may still answer.
        until("all threads are stopped", || proc::threads_are_stopped(pid));
        self.stopped = true;
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn cont(&mut self) {
        proc::signal(self.pid(), Signal::CONT);
        self.stopped = false;
    }

    fn wait(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        self.stopped = false;
    }

    fn try_wait(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.wait();
        Some(status)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
        }
        self.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(30)..];
            eprintln!("the last that {} said:\n{}", self.name, last.join("\n"));
        }
    }
}
