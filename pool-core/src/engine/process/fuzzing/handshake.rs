//! The messages at the start of a worker, and its token.

use super::input::Input;
use crate::engine::process::spawn::Token;
use crate::engine::process::wire::{Hello, Identity, MESSAGE_MAX, Unreadable, VERSION, Welcome};

/// The handshake: what is no message is refused, what is one survives the way.
pub fn handshake(bytes: &[u8]) {
    read(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        read_token(text);
    }
    let mut input = Input::new(bytes);
    let [welcome, hello] = written(&mut input);
    // The same with a byte changed, with some missing, with some more.
    for mut message in [welcome, hello] {
        read(&message);
        let at = input.number() % message.len();
        message[at] ^= input.byte();
        read(&message);
        message.truncate(input.number());
        message.extend(input.bytes(input_len(&message)));
        read(&message);
    }
}

/// How much longer than it was a message gets at most.
fn input_len(message: &[u8]) -> usize {
    (2 * MESSAGE_MAX).saturating_sub(message.len()) % 24
}

/// What the two sides say, with these numbers.
fn written(input: &mut Input<'_>) -> [Vec<u8>; 2] {
    let identity = Identity {
        tasks: input.long(),
        catalog: input.long(),
    };
    let welcome = Welcome {
        identity,
        foreign: input.flag(),
        index: input.long() as u32,
        depth: input.long() as u32,
        sharers: input.long() as u32,
        arena_bytes: input.long(),
        stdout: input.flag(),
        agent: input.flag(),
        umask: input.flag().then(|| input.long() as u32),
        stack_size: input.long(),
        blocked: input.long() as u8,
    };
    let hello = Hello { identity };
    assert_eq!(Welcome::decode(&welcome.encode()), Ok(welcome));
    assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    let token = Token {
        version: input.long() as u32,
        parent: input.long() as u32,
    };
    let text = token.to_argument(input.number());
    assert_eq!(Token::parse(&text), Some(token));
    [welcome.encode(), hello.encode()]
}

/// Reads bytes as both messages: at most one of them is there, and it is what its own text says.
fn read(bytes: &[u8]) {
    let welcome = Welcome::decode(bytes);
    let hello = Hello::decode(bytes);
    assert!(welcome.is_err() || hello.is_err());
    if let Ok(welcome) = welcome {
        let text = welcome.encode();
        assert_eq!(text.len(), bytes.len());
        assert!(text.len() <= MESSAGE_MAX);
        assert_eq!(Welcome::decode(&text), Ok(welcome));
    }
    if let Ok(hello) = hello {
        assert_eq!(hello.encode(), bytes);
    }
    // Which version a message is of does not depend on what message it is.
    match (welcome, hello) {
        (Err(Unreadable::Version(one)), Err(Unreadable::Version(other))) => {
            assert_eq!(one, other);
            assert_ne!(one, VERSION);
        }
        (Err(Unreadable::Version(_)), _) | (_, Err(Unreadable::Version(_))) => {
            panic!("a version in one reading only")
        }
        _ => {}
    }
}

fn read_token(text: &str) {
    if let Some(token) = Token::parse(text) {
        assert_eq!(Token::parse(&token.to_argument(0)), Some(token));
    }
}
