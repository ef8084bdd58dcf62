//! A server of our own: on loopback, on a port that it chooses, with a store that ends with it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::SERVE;
use crate::Fault;
use crate::figures::wait_until;

/// The environment variable that names the server's executable.
const NATS_SERVER: &str = "NATS_SERVER";

pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    url: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self, Fault> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "pool-nats-{}-{}",
            std::process::id(),
            STARTED.fetch_add(1, Relaxed)
        );
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        let child = Command::new("/proc/self/exe")
            .args(["cluster", SERVE])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let mut server = Self {
            child,
            folder,
            url: String::new(),
        };
        wait_until("the server tells its port", || {
            server.url = address(&server.folder).unwrap_or_default();
            !server.url.is_empty()
        })?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What it has stored, nobody reads. It is waited for, so that its time is accounted to us.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Becomes the server of [`Server::start`], which ends when its sample is killed.
pub(crate) fn serve(folder: &str) -> Result<(), Fault> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let folder = Path::new(folder);
    let error = Command::new(executable())
        .args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream"])
        .arg("--store_dir")
        .arg(folder.join("store"))
        .arg("--ports_file_dir")
        .arg(folder)
        .stderr(Stdio::null())
        .exec();
    Err(missing(&error))
}

/// What it says of its version, which every chapter's table has in its head.
pub(crate) fn version() -> Result<String, Fault> {
    let output = Command::new(executable())
        .arg("--version")
        .output()
        .map_err(|error| missing(&error))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn executable() -> OsString {
    env::var_os(NATS_SERVER).unwrap_or_else(|| "nats-server".into())
}

fn missing(error: &std::io::Error) -> Fault {
    let executable = executable();
    format!(
        "{} cannot be started: {error}. `.ci/nats` fetches servers, `apt-get install nats-server` \
         has one too; {NATS_SERVER} names its executable where PATH does not lead to it",
        executable.display()
    )
    .into()
}

/// The address that the server has written into a file of this folder, once it has.
fn address(folder: &Path) -> Option<String> {
    let mut files = fs::read_dir(folder).ok()?.flatten();
    let ports = files.find(|file| file.path().extension().is_some_and(|kind| kind == "ports"))?;
    first_address(&fs::read_to_string(ports.path()).ok()?)
}

fn first_address(ports: &str) -> Option<String> {
    let ports: serde_json::Value = serde_json::from_str(ports).ok()?;
    Some(ports["nats"].get(0)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_in_the_file() {
        let ports = r#"{"nats":["nats://127.0.0.1:41127"],"monitoring":[]}"#;
        let address = first_address(ports);
        assert_eq!(address.as_deref(), Some("nats://127.0.0.1:41127"));
        // Half written.
        assert_eq!(first_address(r#"{"nats":["#), None);
        assert_eq!(first_address("{}"), None);
    }
}
