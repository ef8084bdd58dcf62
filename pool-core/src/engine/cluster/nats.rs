//! Where the cluster is, and who we are there.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use super::names::is_token;
use crate::error::pool_error::Error;

/// The environment variable with the servers of submitters.
pub(crate) const POOL_NATS: &str = "POOL_NATS";

/// The servers of a [cluster](crate::Pool::cluster), and how to get in.
///
/// ```no_run
/// use pool_core::{Backend, Nats, Pool};
///
/// let servers = Nats::at("tls://n1:4222,tls://n2:4222,tls://n3:4222")
///     .namespace("shop")
///     .credentials("/etc/shop/web.creds")
///     .ca("/etc/shop/ca.pem")
///     .replicas(3);
/// let pool = Pool::builder().backend(Backend::Cluster).nats(servers).build()?;
/// # Ok::<(), pool_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Nats {
    pub(super) urls: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) credentials: Option<PathBuf>,
    pub(super) nkey: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    /// With its key.
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
    pub(super) replicas: usize,
    pub(super) version: String,
    pub(super) no_worker_timeout: Option<Duration>,
    pub(super) local_agent: bool,
}

impl Nats {
    /// These servers: `nats://host:port` or `tls://host:port`, several with commas between them; a
    /// user and a password can stand in front of the host (`nats://user:password@host:4222`).
    pub fn at(urls: impl Into<String>) -> Self {
        Self {
            urls: urls.into(),
            namespace: "pool".into(),
            name: "any".into(),
            credentials: None,
            nkey: None,
            ca: None,
            certificate: None,
            replicas: 1,
            version: String::new(),
            no_worker_timeout: None,
            local_agent: false,
        }
    }

    /// What the environment says: the servers in `POOL_NATS`, the rest in the variables that
    /// `docs/cluster.md` lists.
    ///
    /// # Errors
    /// [`Error::Cluster`] where a variable is missing or makes no sense.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variable(POOL_NATS)
    }

    /// The same with the servers in another variable.
    pub(super) fn from_variable(servers: &str) -> Result<Self, Error> {
        let Some(urls) = variable(servers) else {
            let why = format!("{servers} is not set: it names the servers, like nats://host:4222");
            return Err(Error::cluster(why));
        };
        let mut nats = Self::at(urls);
        let path = |name| variable(name).map(PathBuf::from);
        if let Some(namespace) = variable("POOL_NATS_NAMESPACE") {
            nats.namespace = namespace;
        }
        if let Some(name) = variable("POOL_NATS_NAME") {
            nats.name = name;
        }
        if let Some(version) = variable("POOL_NATS_VERSION") {
            nats.version = version;
        }
        if let Some(replicas) = variable("POOL_NATS_REPLICAS") {
            nats.replicas = replicas.parse().map_err(|_| {
                Error::cluster(format!(
                    "POOL_NATS_REPLICAS is {replicas:?}: it is 1, 3 or 5"
                ))
            })?;
        }
        nats.credentials = path("POOL_NATS_CREDS");
        nats.nkey = path("POOL_NATS_NKEY");
        nats.ca = path("POOL_NATS_CA");
        nats.certificate = match (path("POOL_NATS_CERT"), path("POOL_NATS_KEY")) {
            (None, None) => None,
            (Some(file), Some(key)) => Some((file, key)),
            _ => {
                let why = "POOL_NATS_CERT and POOL_NATS_KEY go together: one of them is not set";
                return Err(Error::cluster(why));
            }
        };
        Ok(nats)
    }

    /// Programs see each other only in one namespace, `pool` unless set: letters, digits, `-` and
    /// `_`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Who submits: what the servers give permissions to. `any` unless set; letters, digits, `-` and
    /// `_`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A file with credentials: a JWT and its seed, as `nsc` writes it.
    pub fn credentials(mut self, file: impl Into<PathBuf>) -> Self {
        self.credentials = Some(file.into());
        self
    }

    /// A file with the seed of an nkey.
    pub fn nkey(mut self, file: impl Into<PathBuf>) -> Self {
        self.nkey = Some(file.into());
        self
    }

    /// The certificates of the authorities that the servers are trusted by (PEM), instead of those of
    /// the system.
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca = Some(file.into());
        self
    }

    /// The certificate that servers know us by, and its key (PEM).
    pub fn certificate(mut self, file: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((file.into(), key.into()));
        self
    }

    /// How many servers keep the queue, where it is made by this program: 1 unless set, or 3 or 5.
    pub fn replicas(mut self, servers: usize) -> Self {
        self.replicas = servers;
        self
    }

    /// The version of what tasks mean. Builds run each other's tasks where the names and signatures
    /// of all their tasks agree, and this. Change it when a type of an argument or result changes.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// After how long without any agent of this build tasks that wait for one are
    /// [`Rejected`](crate::TaskErrorKind::Rejected); unless set, never: agents may come later.
    pub fn no_worker_timeout(mut self, limit: Duration) -> Self {
        self.no_worker_timeout = Some(limit);
        self
    }

    /// Starts an agent in this program too, with as many seats as the pool is to have workers, and
    /// with the pool's options for worker processes. It ends with the pool, and breaks it when its
    /// workers cannot go on: when their initializer fails, for instance. It serves every pool of this
    /// build in this namespace, as other agents serve this pool; what it runs for others at the end of
    /// this pool has 25 s to end.
    pub fn local_agent(mut self) -> Self {
        self.local_agent = true;
        self
    }

    /// What would make no sense to a server.
    pub(super) fn check(&self) -> Result<(), Error> {
        for (what, text) in [("namespace", &self.namespace), ("name", &self.name)] {
            if !is_token(text) {
                return Err(Error::cluster(format!(
                    "the {what} {text:?} is not made of letters, digits, `-` and `_`"
                )));
            }
        }
        Ok(())
    }

    /// The user and the password of the first server that has them: a client knows one pair.
    pub(super) fn user(&self) -> Option<(String, String)> {
        let pair = |url: &str| {
            let (head, _) = url.rsplit_once('@')?;
            let (_, pair) = head.split_once("://").unwrap_or(("", head));
            let (user, password) = pair.split_once(':')?;
            Some((decoded(user), decoded(password)))
        };
        self.urls.split(',').find_map(pair)
    }

    /// The servers without users and passwords.
    pub(super) fn servers(&self) -> Vec<String> {
        self.shown()
            .split(',')
            .map(|url| url.trim().to_owned())
            .collect()
    }

    /// The servers without what is secret.
    pub(super) fn shown(&self) -> String {
        let without = |url: &str| match url.rsplit_once('@') {
            Some((head, host)) => match head.split_once("://") {
                Some((scheme, _)) => format!("{scheme}://{host}"),
                None => host.to_owned(),
            },
            None => url.to_owned(),
        };
        self.urls
            .split(',')
            .map(without)
            .collect::<Vec<_>>()
            .join(",")
    }
}

/// Without what is secret.
impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nats")
            .field("urls", &self.shown())
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A part of a URL, in which `%40` stands for `@`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let code = behind
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A variable that is set to something.
pub(super) fn variable(name: &str) -> Option<String> {
    let value = env::var_os(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let nats = Nats::at("nats://me:se@cret@one:1,two:2,tls://three");
        assert_eq!(nats.shown(), "nats://one:1,two:2,tls://three");
        assert!(!format!("{nats:?}").contains("cret"));
        assert_eq!(nats.servers(), ["nats://one:1", "two:2", "tls://three"]);
    }

    #[test]
    fn a_user_and_a_password_stand_before_the_host() {
        let pair = |url| Nats::at(url).user();
        let both = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(pair("nats://one:1,nats://me:it@two:2"), both("me", "it"));
        assert_eq!(pair("nats://m%40e:%3a%@two:2"), both("m@e", ":%"));
        assert_eq!(pair("nats://token@two:2"), None);
    }

    #[test]
    fn names_that_cannot_stand_in_a_subject_are_refused() {
        assert!(Nats::at("x").check().is_ok());
        for nats in [Nats::at("x").namespace("a.b"), Nats::at("x").name("*")] {
            let error = nats.check().unwrap_err().to_string();
            assert!(error.contains("letters, digits"), "{error}");
        }
    }
}
