//! A small client, written by hand and synchronous: tests look at a server without the client that
//! they test.
//!
//! No TLS: a server whose clients need it can let this one in with `allow_non_tls: true`.

use std::collections::VecDeque;
use std::io::{self, BufReader, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::wire::Piece;
use crate::PATIENCE;

/// What the server says of itself has to come within this.
const CONNECT: Duration = Duration::from_secs(5);

/// A message that has arrived.
#[derive(Debug, Clone)]
pub struct Message {
    /// To which subject it went.
    pub subject: String,
    /// Where an answer should go.
    pub reply: Option<String>,
    /// The number in its headers: 503 when nobody listens.
    pub status: Option<u16>,
    /// Its headers, as text.
    pub headers: String,
    /// What it says.
    pub payload: Vec<u8>,
}

impl Message {
    /// The payload as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or(Value::Null)
    }
}

enum Event {
    Pong,
    Message(Message),
    Error(String),
}

/// A connection.
#[derive(Debug)]
pub struct Probe {
    url: String,
    info: Value,
    stream: TcpStream,
    writer: Arc<Mutex<TcpStream>>,
    events: Receiver<Event>,
    reader: Option<JoinHandle<()>>,
    /// What has arrived for somebody else than was waiting.
    kept: VecDeque<Message>,
    inbox: String,
    asked: u64,
    subscribed: u64,
}

impl Probe {
    /// Connects to `nats://[user:password@]address:port`.
    ///
    /// # Errors
    /// Nobody listens there, it does not answer, or it lets this user not in.
    pub fn connect(url: &str) -> io::Result<Self> {
        let (user, address) = split(url);
        let stream =
            TcpStream::connect_timeout(&address.parse().map_err(io::Error::other)?, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(CONNECT))?;
        let mut input = BufReader::new(stream.try_clone()?);
        let info = read_info(&mut input)?;
        stream.set_read_timeout(None)?;

        let writer = Arc::new(Mutex::new(stream.try_clone()?));
        let (tell, events) = mpsc::channel();
        let answers = Arc::clone(&writer);
        let read = move || listen(&mut input, &tell, &answers);
        let reader = thread::Builder::new().name("probe".into()).spawn(read)?;
        let id = info["client_id"].as_u64().unwrap_or_default();
        let mut probe = Self {
            url: url.to_owned(),
            inbox: format!("_INBOX.probe{}x{id}", std::process::id()),
            info,
            stream,
            writer,
            events,
            reader: Some(reader),
            kept: VecDeque::new(),
            asked: 0,
            subscribed: 1,
        };
        let mut options = json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true,
            "name": "probe", "lang": "probe", "version": "0", "protocol": 1,
        });
        if let Some((user, password)) = user {
            options["user"] = user.into();
            options["pass"] = password.into();
        }
        let inbox = &probe.inbox;
        // One write: what a server that refuses has not read would cost its answer.
        let hello = format!("CONNECT {options}\r\nSUB {inbox}.* 1\r\nPING\r\n");
        probe.send(hello.as_bytes())?;
        probe.wait_for_pong()?;
        Ok(probe)
    }

    /// Connects again, without what was subscribed.
    ///
    /// # Errors
    /// As [`Probe::connect`].
    pub fn connect_again(&mut self) -> io::Result<()> {
        *self = Self::connect(&self.url)?;
        Ok(())
    }

    /// What the server says of itself.
    #[must_use]
    pub fn info(&self) -> &Value {
        &self.info
    }

    /// Publishes a message.
    ///
    /// # Errors
    /// The connection is gone. What the server says against it comes with the next [`Probe::flush`].
    pub fn publish(&self, subject: &str, payload: &[u8]) -> io::Result<()> {
        self.publish_to(subject, "", payload)
    }

    /// Answers a message.
    ///
    /// # Errors
    /// As [`Probe::publish`].
    pub fn answer(&self, message: &Message, payload: &[u8]) -> io::Result<()> {
        self.publish(message.reply.as_deref().unwrap_or_default(), payload)
    }

    /// Subscribes to a subject; its messages come by [`Probe::next`].
    ///
    /// # Errors
    /// The connection is gone, or the server does not allow it.
    pub fn subscribe(&mut self, subject: &str) -> io::Result<()> {
        self.subscribed += 1;
        let number = self.subscribed;
        self.send(format!("SUB {subject} {number}\r\n").as_bytes())?;
        self.flush()
    }

    /// Waits until the server has taken everything so far.
    ///
    /// # Errors
    /// It has refused something, or does not answer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.send(b"PING\r\n")?;
        self.wait_for_pong()
    }

    fn wait_for_pong(&mut self) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        let mut refused = None;
        loop {
            match self.event(end) {
                Ok(Event::Pong) => return refused.map_or(Ok(()), Err),
                Ok(Event::Message(message)) => self.kept.push_back(message),
                Ok(Event::Error(text)) => refused = Some(denied(text)),
                // A server says why before it closes the connection.
                Err(error) => return Err(refused.unwrap_or(error)),
            }
        }
    }

    /// The next message of a subscription, or `None` when none comes in time or ever.
    pub fn next(&mut self, timeout: Duration) -> Option<Message> {
        let end = Instant::now() + timeout;
        loop {
            if let Some(message) = self.kept.pop_front() {
                if !self.is_answer(&message) {
                    return Some(message);
                }
            } else if let Event::Message(message) = self.event(end).ok()? {
                self.kept.push_back(message);
            }
        }
    }

    /// Asks, and waits for one answer. That nobody listens is one too, with the status 503.
    ///
    /// # Errors
    /// There is none in time, the server does not allow the question, or the connection is gone.
    pub fn request(
        &mut self,
        subject: &str,
        payload: &[u8],
        timeout: Duration,
    ) -> io::Result<Message> {
        self.asked += 1;
        let reply = format!("{}.{}", self.inbox, self.asked);
        self.publish_to(subject, &reply, payload)?;
        let end = Instant::now() + timeout;
        loop {
            match self.event(end)? {
                Event::Message(message) if message.subject == reply => return Ok(message),
                Event::Message(message) if self.is_answer(&message) => {}
                Event::Message(message) => self.kept.push_back(message),
                Event::Error(text) => return Err(denied(text)),
                Event::Pong => {}
            }
        }
    }

    fn publish_to(&self, subject: &str, reply: &str, payload: &[u8]) -> io::Result<()> {
        let mut bytes = format!("PUB {subject} {reply} {}\r\n", payload.len()).into_bytes();
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(b"\r\n");
        self.send(&bytes)
    }

    fn is_answer(&self, message: &Message) -> bool {
        message.subject.starts_with(&self.inbox)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(bytes)
    }

    fn event(&self, end: Instant) -> io::Result<Event> {
        let left = end.saturating_duration_since(Instant::now());
        self.events.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => io::Error::new(ErrorKind::TimedOut, "no answer"),
            RecvTimeoutError::Disconnected => {
                io::Error::new(ErrorKind::ConnectionReset, "the connection is gone")
            }
        })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// User and password, and the address.
fn split(url: &str) -> (Option<(&str, &str)>, &str) {
    let url = url.strip_prefix("nats://").unwrap_or(url);
    match url.rsplit_once('@') {
        Some((user, address)) => (Some(user.split_once(':').unwrap_or((user, ""))), address),
        None => (None, url),
    }
}

/// The first line of a server.
pub(super) fn read_info(input: &mut BufReader<TcpStream>) -> io::Result<Value> {
    let piece = Piece::read(input)?.unwrap_or_default();
    let info = piece
        .line
        .strip_prefix(b"INFO ")
        .map(serde_json::from_slice);
    match info {
        Some(Ok(info)) => Ok(info),
        _ => Err(io::Error::new(
            ErrorKind::InvalidData,
            "this is no nats-server",
        )),
    }
}

/// Reads until the end of the connection, which is also that of the channel.
fn listen(input: &mut BufReader<TcpStream>, tell: &Sender<Event>, writer: &Mutex<TcpStream>) {
    while let Ok(Some(piece)) = Piece::read(input) {
        let words = piece.words();
        let event = match words.first().map(String::as_str) {
            Some("PING") => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = writer.write_all(b"PONG\r\n");
                continue;
            }
            Some("PONG") => Event::Pong,
            Some("MSG") => Event::Message(message(&piece, &words, 4)),
            Some("HMSG") => Event::Message(message(&piece, &words, 5)),
            Some("-ERR") => Event::Error(words[1..].join(" ")),
            _ => continue,
        };
        if tell.send(event).is_err() {
            return;
        }
    }
}

/// `short` is the number of words of one that wants no answer.
fn message(piece: &Piece, words: &[String], short: usize) -> Message {
    let headers = &piece.body[..piece.headers];
    let headers = String::from_utf8_lossy(headers).into_owned();
    let first = headers.lines().next().unwrap_or_default();
    Message {
        subject: words.get(1).cloned().unwrap_or_default(),
        reply: (words.len() > short).then(|| words[3].clone()),
        status: first.split(' ').nth(1).and_then(|word| word.parse().ok()),
        payload: piece.payload().to_vec(),
        headers,
    }
}

fn denied(text: String) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, text)
}
