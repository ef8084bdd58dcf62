//! Large values by hand: the object store of the client that this project uses as well.
//!
//! An echo is two objects, each put and gotten by this one program and deleted afterwards: what two
//! programs would do in turn.

use async_nats::jetstream::{self, object_store};
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;

use super::engine::{connect, runtime};
use crate::Fault;

pub(super) struct Store {
    // First of all: it has the connection's task.
    runtime: Runtime,
    store: object_store::ObjectStore,
}

impl Store {
    pub(super) fn open(url: &str) -> Result<Self, Fault> {
        let runtime = runtime()?;
        let store = runtime.block_on(async {
            let context = jetstream::new(connect(url).await?);
            let config = object_store::Config {
                bucket: "values".into(),
                storage: jetstream::stream::StorageType::File,
                ..Default::default()
            };
            Ok::<_, Fault>(context.create_object_store(config).await?)
        })?;
        Ok(Self { runtime, store })
    }

    pub(super) fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
        self.runtime.block_on(async {
            let there = self.pass("argument", bytes).await?;
            self.pass("result", there).await
        })
    }

    async fn pass(&self, name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
        self.store.put(name, &mut bytes.as_slice()).await?;
        let mut object = self.store.get(name).await?;
        let mut gotten = Vec::with_capacity(object.info().size);
        object.read_to_end(&mut gotten).await?;
        self.store.delete(name).await?;
        Ok(gotten)
    }
}
