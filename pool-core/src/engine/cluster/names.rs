//! The names of the protocol: streams, subjects, inboxes. See the README of this folder.

use crate::task::{FNV_OFFSET, fnv1a, seed};

use super::wire;

/// The names in one namespace, for programs that understand each other.
#[derive(Debug, Clone)]
pub(super) struct Names {
    namespace: String,
    pub(super) abi: String,
}

impl Names {
    pub(super) fn new(namespace: &str, abi: String) -> Self {
        Self {
            namespace: namespace.to_owned(),
            abi,
        }
    }

    pub(super) fn stream(&self) -> String {
        format!("PT_{}_T", self.namespace)
    }

    /// What the stream takes.
    pub(super) fn queue(&self) -> String {
        format!("pt.{}.q.>", self.namespace)
    }

    pub(super) fn consumer(&self) -> String {
        format!("q_{}", self.abi)
    }

    /// What the consumer delivers.
    pub(super) fn build_queue(&self) -> String {
        format!("pt.{}.q.{}.>", self.namespace, self.abi)
    }

    /// Where a client publishes its tasks.
    pub(super) fn client_queue(&self, client: &str) -> String {
        format!("pt.{}.q.{}.{client}", self.namespace, self.abi)
    }

    /// Whose task a subject of the queue is of.
    pub(super) fn client_of<'a>(&self, subject: &'a str) -> Option<&'a str> {
        let rest = subject.strip_prefix("pt.")?;
        let rest = rest.strip_prefix(&self.namespace)?.strip_prefix(".q.")?;
        rest.strip_prefix(&self.abi)?.strip_prefix('.')
    }

    pub(super) fn to_submitter(&self, client: &str) -> String {
        format!("pt.{}.c.{client}", self.namespace)
    }

    pub(super) fn to_agent(&self, agent: &str) -> String {
        format!("pt.{}.a.{agent}", self.namespace)
    }

    pub(super) fn who(&self) -> String {
        format!("pt.{}.w", self.namespace)
    }
}

/// What a build of a program understands: builds with the same one run each other's tasks.
pub(super) fn abi(catalog: u64, version: &str) -> String {
    let hash = fnv1a(
        FNV_OFFSET ^ u64::from(wire::VERSION),
        &catalog.to_le_bytes(),
    );
    format!("{:016x}", fnv1a(hash, version.as_bytes()))
}

/// A name that nobody else has: 128 random bits.
pub(super) fn unique() -> String {
    format!("{:016x}{:016x}", seed::random(), seed::random())
}

/// Whether it can stand in a subject and in the name of a stream.
pub(super) fn is_token(text: &str) -> bool {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_tells_whose_task_it_is() {
        let names = Names::new("pool", "00ff".into());
        let client = "web.123";
        assert_eq!(names.client_of(&names.client_queue(client)), Some(client));
        let others = Names::new("pool", "00fe".into());
        assert_eq!(names.client_of(&others.client_queue(client)), None);
        assert_eq!(names.client_of("pt.poolish.q.00ff.web.1"), None);
    }

    #[test]
    fn builds_differ_by_tasks_and_by_version() {
        let all = [abi(1, ""), abi(2, ""), abi(1, "2")];
        assert!(all.iter().all(|abi| abi.len() == 16 && is_token(abi)));
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
        assert_eq!(abi(1, ""), all[0]);
    }

    #[test]
    fn tokens_are_what_a_server_takes() {
        assert!(is_token("shop-2_x"));
        for other in ["", "a.b", "a b", "a*", ">", "ä", &"x".repeat(65)] {
            assert!(!is_token(other), "{other}");
        }
    }
}
