//! What the fuzz targets run, and `cargo test` with the inputs that they found: the parent's side
//! of the process engine under bytes that a worker may have written.
//!
//! | target | what is real | what the input is |
//! |---|---|---|
//! | [`lane`] | scheduler, worker queues, lanes, cells, handles | a program: what the pool's user, the supervisor, a hostile worker and an honest one do, in which order |
//! | [`codec`] | replies, frames, failures, arguments | what came out of a lane |
//! | [`handshake`] | welcome, hello, token | what came out of a socket, or stands in `argv[0]` |
//!
//! They are the same inputs for the fuzzer and for the tests: what once broke something stays in
//! `fuzz/corpus`, and is tried by every `cargo test`.

mod anything;
mod codec;
mod fates;
mod handshake;
mod input;
mod lane;
mod probe;
mod worker;

pub use self::codec::codec;
pub use self::handshake::handshake;
pub use self::lane::lane;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Runs a target with every input that is kept for it.
    fn replay(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        let mut inputs = 0;
        for entry in fs::read_dir(folder.join(name)).unwrap() {
            let path = entry.unwrap().path();
            // Printed when it fails: which one it was.
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0);
    }

    #[test]
    fn what_the_lane_was_fuzzed_with() {
        replay("lane", super::lane);
    }

    #[test]
    fn what_the_codec_was_fuzzed_with() {
        replay("codec", super::codec);
    }

    #[test]
    fn what_the_handshake_was_fuzzed_with() {
        replay("handshake", super::handshake);
    }
}
