//! What is wanted of a server.

use std::path::{Path, PathBuf};

use super::Server;

/// What a server is started with.
#[derive(Debug, Default, Clone)]
pub struct Options {
    pub(super) port: Option<u16>,
    jetstream: String,
    config: String,
    pub(super) store: Option<PathBuf>,
}

impl Options {
    /// On this port, and not on any that is free.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// More lines of its configuration: `authorization`, `tls`, `max_payload`.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// More lines of the part about JetStream: `max_file_store`.
    #[must_use]
    pub fn jetstream(mut self, lines: &str) -> Self {
        self.jetstream.push_str(lines);
        self.jetstream.push('\n');
        self
    }

    /// Where its streams lie, and not in a folder that ends with it.
    #[must_use]
    pub fn store(mut self, folder: impl Into<PathBuf>) -> Self {
        self.store = Some(folder.into());
        self
    }

    /// Starts the server, and waits until it serves.
    ///
    /// # Panics
    /// When there is no program, or it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Server {
        let mut server = Server::of(&self);
        server.launch();
        server.wait_until_ready();
        server
    }

    /// The configuration, with what is the server's own.
    pub(super) fn text(&self, ours: &str, store: &Path) -> String {
        let Self {
            jetstream, config, ..
        } = self;
        format!(
            "{ours}\n\
             jetstream {{\n\
             store_dir: {store:?}\n\
             max_memory_store: 256MB\n\
             max_file_store: 1GB\n\
             {jetstream}}}\n\
             {config}"
        )
    }
}
