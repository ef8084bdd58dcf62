//! What the server says about the cluster's queue.

use std::io::{self, ErrorKind};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Probe;
use crate::PATIENCE;

/// How long one question is waited for; some servers say nothing while they elect a leader.
const ANSWER: Duration = Duration::from_secs(2);

/// The stream of a namespace.
#[must_use]
pub fn queue_name(ns: &str) -> String {
    format!("PT_{ns}_T")
}

impl Probe {
    /// One call of JetStream's interface, `STREAM.INFO.name` for instance. What JetStream says
    /// against it is in the answer, as `error`.
    ///
    /// # Errors
    /// No answer, or no JetStream.
    pub fn try_api(&mut self, call: &str, with: &Value, timeout: Duration) -> io::Result<Value> {
        let with = match with {
            Value::Null => String::new(),
            with => with.to_string(),
        };
        let answer = self.request(&format!("$JS.API.{call}"), with.as_bytes(), timeout)?;
        if answer.status == Some(503) {
            return Err(io::Error::new(ErrorKind::NotConnected, "no JetStream"));
        }
        Ok(answer.json())
    }

    /// The same, again and again as long as nobody can answer: for want of a connection, a server,
    /// or a leader.
    ///
    /// # Panics
    /// When nobody answers for [`PATIENCE`].
    #[track_caller]
    pub fn api(&mut self, call: &str, with: &Value) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.try_api(call, with, ANSWER);
            match &answer {
                Ok(answer) if answer["error"]["code"] != 503 => return answer.clone(),
                Ok(_) => {}
                Err(_) => drop(self.connect_again()),
            }
            assert!(Instant::now() < end, "{call}: {answer:?}");
            sleep(Duration::from_millis(100));
        }
    }

    /// The same for what may not be there: `None` then.
    #[track_caller]
    fn look(&mut self, call: &str) -> Option<Value> {
        let answer = self.api(call, &Value::Null);
        let error = &answer["error"];
        if error["code"] == 404 {
            return None;
        }
        assert!(error.is_null(), "{call}: {error}");
        Some(answer)
    }

    /// What the server says of any stream, or `None` where there is none.
    ///
    /// # Panics
    /// As [`Probe::api`].
    #[track_caller]
    pub fn stream(&mut self, name: &str) -> Option<Value> {
        self.look(&format!("STREAM.INFO.{name}"))
    }

    /// What the server says of a namespace's queue.
    ///
    /// # Panics
    /// As [`Probe::api`].
    #[track_caller]
    pub fn stream_info(&mut self, ns: &str) -> Option<Value> {
        self.stream(&queue_name(ns))
    }

    /// How many messages a namespace's queue has, those that agents hold included.
    ///
    /// # Panics
    /// As [`Probe::api`].
    #[track_caller]
    pub fn queue_len(&mut self, ns: &str) -> Option<u64> {
        self.stream_info(ns)?["state"]["messages"].as_u64()
    }

    /// The consumers of a namespace's queue, one for each build of the agents.
    ///
    /// # Panics
    /// As [`Probe::api`].
    #[track_caller]
    pub fn consumers(&mut self, ns: &str) -> Vec<String> {
        let names = self.look(&format!("CONSUMER.NAMES.{}", queue_name(ns)));
        let names = names.map(|names| names["consumers"].clone());
        serde_json::from_value(names.unwrap_or_default()).unwrap_or_default()
    }

    /// What the server says of a consumer: `num_pending`, `num_ack_pending`, `num_waiting`.
    ///
    /// # Panics
    /// As [`Probe::api`].
    #[track_caller]
    pub fn consumer_info(&mut self, ns: &str, consumer: &str) -> Option<Value> {
        self.look(&format!("CONSUMER.INFO.{}.{consumer}", queue_name(ns)))
    }

    /// Deletes a namespace's queue with all that is in it; says whether there was one.
    ///
    /// # Panics
    /// As [`Probe::api`].
    #[track_caller]
    pub fn delete_stream(&mut self, ns: &str) -> bool {
        self.look(&format!("STREAM.DELETE.{}", queue_name(ns)))
            .is_some()
    }

    /// Makes a stream, or finds it just as it should be.
    ///
    /// # Panics
    /// As [`Probe::api`], and when the server does not want it.
    #[track_caller]
    pub fn create_stream(&mut self, name: &str, subjects: &[&str], replicas: u32) {
        let stream = json!({
            "name": name, "subjects": subjects, "num_replicas": replicas,
            "retention": "workqueue", "storage": "file", "discard": "new",
        });
        let answer = self.api(&format!("STREAM.CREATE.{name}"), &stream);
        assert!(answer["error"].is_null(), "{name}: {}", answer["error"]);
    }

    /// Publishes into a stream; says at which place it is there.
    ///
    /// # Errors
    /// There is no acknowledgement in time, or another word.
    pub fn store(&mut self, subject: &str, payload: &[u8]) -> io::Result<u64> {
        let answer = self.request(subject, payload, ANSWER)?;
        let said = answer.json();
        said["seq"].as_u64().ok_or_else(|| {
            io::Error::other(format!("status {:?}, {}", answer.status, said["error"]))
        })
    }
}
