//! Worker programs that are none, messages that end in the middle, and faults of the program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process;
use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::gate::Folder;
use super::super::proc::{self, descendants_of, threads_of, wait_until_gone};
use super::super::tasks::{add, place};
use super::super::{Need, PATIENCE, Subject, gate, outcome, program, until};
use super::{EVER, Fault, SHORT, Trap, assert_works, carries, fate};
use crate::api::pool::Pool;
use crate::error::pool_error::Error;
use crate::pool_task;

/// A worker program that does this instead of working.
#[track_caller]
fn start(subject: &Subject, script: &str) -> Error {
    let folder = Folder::new();
    let program = folder.join("worker");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let limit = match script.contains("sleep") {
        true => SHORT,
        false => PATIENCE,
    };
    let builder = subject.builder().worker_exe(&program).start_timeout(limit);
    let error = subject.build(builder).unwrap_err();
    wait_until_gone(&descendants_of(process::id()));
    error
}

#[track_caller]
fn assert_start_fails(subject: &Subject, script: &str, why: &str) {
    let error = start(subject, script);
    assert!(matches!(error, Error::WorkerStart { .. }), "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

pub(in super::super) fn fault_start_exec(subject: &Subject) {
    let folder = Folder::new();
    let program = folder.join("none");
    let builder = subject.builder().worker_exe(&program);
    let error = subject.build(builder).unwrap_err();
    assert!(matches!(error, Error::Spawn { .. }), "{error}");
    assert!(error.to_string().contains("none"), "{error}");
}

pub(in super::super) fn fault_start_exit_0(subject: &Subject) {
    assert_start_fails(subject, "exit 0", "code 0");
}

pub(in super::super) fn fault_start_exit_42(subject: &Subject) {
    assert_start_fails(subject, "exit 42", "code 42");
}

pub(in super::super) fn fault_start_kill(subject: &Subject) {
    assert_start_fails(subject, "kill -KILL $$", "SIGKILL");
}

pub(in super::super) fn fault_start_hang(subject: &Subject) {
    assert_start_fails(subject, "sleep 600", "");
}

pub(in super::super) fn fault_start_noise(subject: &Subject) {
    assert_start_fails(subject, "echo hello >&0; read line <&0; read line <&0", "");
}

// ---- in the middle of a message ----

/// As it is written for the second time, which is when its place is known, its worker is killed.
struct Snare {
    worker: u32,
    maker: u32,
}

impl Serialize for Snare {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.maker == process::id() {
            // The second time it is gone.
            proc::kill_if_there(self.worker);
        }
        (self.worker, self.maker).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Snare {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let (worker, maker) = Deserialize::deserialize(input)?;
        Ok(Self { worker, maker })
    }
}

/// How much came, and where.
#[pool_task(crate = crate)]
fn receives(before: Vec<u8>, snare: Snare, after: Vec<u8>) -> (usize, bool) {
    (before.len() + after.len(), snare.worker == process::id())
}

pub(in super::super) fn fault_frame_kill(subject: &Subject) {
    for len in [70 << 10, 300 << 10, 17 << 20, 50 << 20] {
        let pool = subject.pool_of(1);
        let (worker, _) = outcome(pool.submit(place::task())).unwrap();
        let maker = process::id();
        let snare = Snare { worker, maker };
        let task = receives::task(vec![1; len], snare, vec![2; len]);
        let handle = pool.submit(task);
        // It had not been started by the one that is dead.
        assert_eq!(outcome(handle).unwrap(), (2 * len, false));
        assert_works(&pool);
    }
}

// ---- in the program ----

/// A program that exits where that happens; no worker is left.
fn program_exits(subject: &Subject, id: &str, exits: impl FnOnce(&Pool)) {
    let program = program::start(subject, id, |folder| {
        let pool = subject.build(subject.builder().warn_after(None)).unwrap();
        if subject.has(Need::Isolation) {
            drop(pool.submit(gate::never::task(folder, 1)));
            until("it runs", || !gate::starts(folder).is_empty());
        }
        exits(&pool);
        // It ends at that, not here.
        thread::sleep(EVER);
    });
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(42), "{ended:?}");
    wait_until_gone(&threads_of(&ended.starts));
}

pub(in super::super) fn fault_args_exit(subject: &Subject) {
    program_exits(subject, "FAULT-ARGS-EXIT", |pool| {
        let trap = Trap::as_i_write_it(Fault::Exit42);
        let _ = fate(pool.submit(carries::task(vec![1; 300 << 10], trap)));
    });
}

pub(in super::super) fn fault_result_read_exit(subject: &Subject) {
    program_exits(subject, "FAULT-RESULT-READ-EXIT", |pool| {
        let trap = Trap::as_i_read_it(Fault::Exit42);
        let _ = fate(pool.submit(carries::task(vec![1; 300 << 10], trap)));
    });
}

pub(in super::super) fn fault_callback_exit(subject: &Subject) {
    program_exits(subject, "FAULT-CALLBACK-EXIT", |pool| {
        pool.submit(add::task(1, 1)).on_finish(|| process::exit(42));
    });
}

pub(in super::super) fn fault_callback_panic(subject: &Subject) {
    let pool = subject.pool();
    for _ in 0..20 {
        let (tell, told) = mpsc::channel();
        let handle = pool.submit(add::task(1, 1));
        handle.on_finish(|| panic!("a callback of the program's"));
        handle.on_finish(move || tell.send(()).unwrap());
        assert_eq!(told.recv_timeout(PATIENCE), Ok(()));
        assert_eq!(outcome(handle).unwrap(), 2);
    }
    assert_works(&pool);
}
