//! Parent, hostile worker and honest worker in one thread, in any order of their steps.
//!
//! The parent is the real one but for its supervisor thread, whose decisions are steps here. The
//! workers are this module's: each keeps to the protocol as long as nothing else is asked of it,
//! and into the lane of the first one the input writes what it likes, wherever it likes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::fates::Fates;
use super::input::Input;
use super::probe::Probe;
use super::worker::Worker;
use crate::api::handle::JoinHandle;
use crate::engine::process::after::After;
use crate::engine::process::lane::slot::{Slot, SlotState};
use crate::engine::process::lane::{Header, Lane, SLOTS};
use crate::engine::process::scheduler::Scheduler;
use crate::engine::process::{Processes, Shared};
use crate::engine::{Config, EngineRef, ProcessConfig};
use crate::error::task_error::{Exit, TaskErrorKind};
use crate::job::cell::{Claimed, Job, JobCell};
use crate::job::work::{Ran, SentChunk, Work};
use crate::task::Options;

/// The worker that may do anything, and the one that does not.
const HOSTILE: usize = 0;
const HONEST: usize = 1;

/// More steps than this are another input.
const MAX_STEPS: usize = 400;

/// No more tasks than this, so that an input takes no time.
const MAX_TASKS: usize = 200;

const GRACE: Duration = Duration::from_millis(50);

const HEADER_BYTES: u64 = size_of::<Header>() as u64;
const SLOT_BYTES: u64 = size_of::<Slot>() as u64;

/// The words of the header are so far apart.
const LINE_BYTES: u64 = 128;

/// Sizes on both sides of every limit: in the cell, in the slot, under the lock, in one piece.
const LOADS: [usize; 8] = [0, 10, 60, 75, 200, 17 << 10, 40 << 10, 300 << 10];
const WANTS: [u32; 8] = [0, 10, 70, 76, 200, 1_000, 20 << 10, 70 << 10];

/// How a task is to be run: with deadlines or without, once or more than once.
fn options(number: usize) -> Options {
    let limit = |number| match number {
        0 => Some(Duration::ZERO),
        1 => Some(Duration::from_millis(5)),
        2 => Some(Duration::from_secs(3_600)),
        _ => None,
    };
    Options {
        timeout: limit(number % 8),
        queue_timeout: limit((number / 8) % 8),
        retries: u32::from(number & 64 > 0),
        idempotent: number & 128 > 0,
        ..Options::default()
    }
}

/// The lane under a program of steps.
pub fn lane(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut world = World::new();
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
        world.check_honest_lane();
    }
    world.end();
}

struct World {
    shared: Arc<Shared>,
    engine: EngineRef,
    workers: [Worker; 2],
    fates: Fates,
    waiting: Vec<Waiting>,
    /// How often each callback was called.
    calls: Vec<Arc<AtomicU32>>,
    /// What was put off until after the lock, and is not done yet.
    put_off: VecDeque<After>,
    puts_off: bool,
    /// How much later it is than the clock says.
    skew: Duration,
    pids: u32,
}

/// A handle that has not given out its outcome.
struct Waiting {
    handle: Held,
    job: Job,
    ids: Vec<u32>,
    /// Tasks of a chunk that nobody wants any more are not reported one by one.
    dropped: bool,
}

enum Held {
    One(JoinHandle<(u32, String)>),
    Chunk(JoinHandle<Ran<Probe>>),
}

impl Held {
    fn cancel(&self) -> bool {
        match self {
            Self::One(handle) => handle.cancel(),
            Self::Chunk(handle) => handle.cancel(),
        }
    }

    fn cancel_queued(&self) {
        match self {
            Self::One(handle) => handle.cancel_queued(),
            Self::Chunk(handle) => handle.cancel_queued(),
        }
    }

    fn is_running(&self) -> bool {
        match self {
            Self::One(handle) => handle.is_running(),
            Self::Chunk(handle) => handle.is_running(),
        }
    }

    fn on_finish(&self, callback: impl FnOnce() + Send + 'static) {
        match self {
            Self::One(handle) => handle.on_finish(callback),
            Self::Chunk(handle) => handle.on_finish(callback),
        }
    }
}

impl Waiting {
    fn is_resolved(&self) -> bool {
        self.job.head().is_resolved()
    }
}

/// A worker that has said hello.
fn serve(shared: &Shared, index: usize, pid: u32) -> Worker {
    let (lane, segments) = Lane::create().expect("memory");
    let lane = Arc::new(lane);
    shared.with(|scheduler, after| scheduler.serve(index, Arc::clone(&lane), pid, after));
    Worker::new(lane, segments)
}

impl World {
    fn new() -> Self {
        let config = Config {
            workers: 2,
            grace: GRACE,
            start_timeout: Duration::ZERO,
            stack_size: 0,
            queue: Some(usize::MAX),
            queue_bytes: Some(usize::MAX),
            initializer: None,
            processes: ProcessConfig::default(),
            #[cfg(feature = "cluster")]
            nats: None,
        };
        let shared = Arc::new(Shared::new(&config).expect("a descriptor"));
        let engine: EngineRef = Arc::new(Box::new(Processes {
            shared: Arc::clone(&shared),
        }));
        let workers = [HOSTILE, HONEST].map(|index| serve(&shared, index, 1 + index as u32));
        Self {
            shared,
            engine,
            workers,
            fates: Fates::default(),
            waiting: Vec::new(),
            calls: Vec::new(),
            put_off: VecDeque::new(),
            puts_off: false,
            skew: Duration::ZERO,
            pids: 2,
        }
    }

    /// Letters, so that an input can be read.
    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() {
            // The pool's user.
            b's' => self.submit(input),
            b'k' => self.submit_chunk(input),
            b'c' => self.cancel(input),
            b'q' => self.cancel_queued(input),
            b'j' => self.join(input),
            b'f' => self.call_back(input),
            b'x' => self.detach(input),
            // The supervisor.
            b't' => self.with(Scheduler::turn),
            b'T' => self.tick(input),
            b'd' => self.look_at_the_clock(),
            b'D' => {
                let index = input.number() % 2;
                self.die(index);
            }
            b'z' => drop(self.shared.trim(Instant::now())),
            b'e' => {
                self.fates.stop_all();
                self.with(Scheduler::drain);
            }
            b'K' => {
                self.fates.stop_all();
                self.with(|scheduler, after| {
                    scheduler.end(TaskErrorKind::Cancelled, "killed", after)
                });
            }
            // What is done without the lock, now or later.
            b'p' => self.puts_off = !self.puts_off,
            b'a' => self.do_put_off(true),
            b'A' => self.do_put_off(false),
            // The workers, as they should be.
            b'o' => {
                self.work(input.number() % 2);
            }
            b'O' => {
                let index = input.number() % 2;
                while self.work(index) {}
            }
            // The hostile one, as it is.
            b'w' => self.write_slot(input),
            b'n' => self.write_slot_number(input),
            b'h' => self.write_header(input),
            b'b' => self.write_bytes(input),
            b'B' => self.write_block(input),
            _ => {}
        }
    }

    /// As [`Shared::with`], but for when the rest is done.
    fn with<R>(&mut self, work: impl FnOnce(&mut Scheduler, &mut After) -> R) -> R {
        let mut after = After::default();
        let result = {
            let mut scheduler = self
                .shared
                .scheduler
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            work(&mut scheduler, &mut after)
        };
        self.put_off.push_back(after);
        if !self.puts_off {
            self.do_put_off(true);
        }
        result
    }

    fn do_put_off(&mut self, oldest: bool) {
        let after = match oldest {
            true => self.put_off.pop_front(),
            false => self.put_off.pop_back(),
        };
        if let Some(after) = after {
            after.run(&self.shared);
        }
    }

    // ---- the pool's user ----

    fn submit(&mut self, input: &mut Input<'_>) {
        let (load, wants) = (input.number(), input.number());
        let options = options(input.number());
        if self.fates.len() >= MAX_TASKS {
            return;
        }
        let wants = WANTS[wants % WANTS.len()];
        let id = self.fates.add(wants, &options);
        let mut probe = Probe::new(id, wants, LOADS[load % LOADS.len()]);
        probe.options = options;
        let (handle, job) = self.send(probe);
        self.wait_for(Held::One(handle), job, vec![id]);
    }

    fn submit_chunk(&mut self, input: &mut Input<'_>) {
        let [tasks, load, wants] = [input.number(), input.number(), input.number()];
        let tasks = 1 + tasks % 70;
        if self.fates.len() + tasks > MAX_TASKS {
            return;
        }
        let (load, wants) = (LOADS[load % 5], WANTS[wants % 5]);
        let options = Options::default();
        let ids = (0..tasks).map(|_| self.fates.add(wants, &options));
        let ids: Vec<_> = ids.collect();
        let probe = |id: &u32| Probe::new(*id, wants, load);
        let probes: Vec<_> = ids.iter().map(probe).collect();
        let chunk = SentChunk::of(&probes, None, 12 * 1024);
        let sent = chunk.len();
        let (handle, job) = self.send(chunk);
        self.wait_for(Held::Chunk(handle), job, ids[..sent].to_vec());
        // The chunk was full: these are never sent.
        ids[sent..].iter().for_each(|id| self.fates.detach(*id));
    }

    fn send<W: Work>(&mut self, work: W) -> (JoinHandle<W::Output>, Job) {
        let limit = work.options().queue_timeout;
        let (handle, job) = JobCell::new(work);
        let start_by = limit.map(|limit| self.now() + limit);
        if let Some(claimed) = Claimed::new(job.clone()) {
            self.with(|scheduler, after| {
                if let Some(at) = start_by {
                    scheduler.start_by(at, job.clone(), after);
                }
                let taken = scheduler.submit(claimed, false, after);
                assert!(taken.is_ok(), "there is room for all");
            });
        }
        (JoinHandle::new(handle, self.engine.clone()), job)
    }

    fn wait_for(&mut self, handle: Held, job: Job, ids: Vec<u32>) {
        self.waiting.push(Waiting {
            handle,
            job,
            ids,
            dropped: false,
        });
    }

    /// Which of the handles is meant; `None` where there is none.
    fn chosen(&self, input: &mut Input<'_>) -> Option<usize> {
        input.number().checked_rem(self.waiting.len())
    }

    fn cancel(&mut self, input: &mut Input<'_>) {
        let Some(at) = self.chosen(input) else { return };
        let waiting = &self.waiting[at];
        waiting.ids.iter().for_each(|id| self.fates.stop(*id));
        let cancelled = waiting.handle.cancel();
        assert!(
            waiting.is_resolved(),
            "cancel said {cancelled}, and it is left to wait"
        );
    }

    fn cancel_queued(&mut self, input: &mut Input<'_>) {
        let Some(at) = self.chosen(input) else { return };
        let waiting = &mut self.waiting[at];
        waiting.dropped = true;
        waiting.ids.iter().for_each(|id| self.fates.stop(*id));
        waiting.handle.cancel_queued();
    }

    /// Asks for the outcome, in one of the ways there are.
    fn join(&mut self, input: &mut Input<'_>) {
        let Some(at) = self.chosen(input) else { return };
        let waiting = &self.waiting[at];
        match input.number() % 4 {
            0 => self.engine.wait(&waiting.job, Some(Instant::now())),
            1 => {
                let soon = Instant::now() + Duration::from_micros(1);
                self.engine.wait(&waiting.job, Some(soon));
            }
            2 => self.engine.poll(&waiting.job),
            _ => {
                waiting.handle.is_running();
            }
        }
        if waiting.is_resolved() {
            self.take(at);
        }
    }

    /// Takes the outcome of a resolved handle.
    fn take(&mut self, at: usize) {
        let waiting = self.waiting.swap_remove(at);
        match waiting.handle {
            Held::One(handle) => {
                let outcome = handle.try_join().expect("it is resolved");
                self.fates.ended(waiting.ids[0], outcome);
                let again = handle.try_join().expect("it is resolved");
                let kind = again.expect_err("handed out").kind();
                assert_eq!(kind, TaskErrorKind::AlreadyJoined);
            }
            Held::Chunk(handle) => {
                let outcome = handle.try_join().expect("it is resolved");
                match outcome {
                    Ok(ran) => self.take_chunk(ran, waiting.ids, waiting.dropped),
                    Err(error) => {
                        let ids = waiting.ids.into_iter();
                        ids.for_each(|id| self.fates.ended(id, Err(error.clone())));
                    }
                }
            }
        }
    }

    fn take_chunk(&mut self, ran: Ran<Probe>, mut ids: Vec<u32>, dropped: bool) {
        let mut rest = ids.split_off(ran.outcomes.len());
        for (id, outcome) in ids.into_iter().zip(ran.outcomes) {
            self.fates.ended(id, outcome);
        }
        for (handle, tasks) in ran.others {
            let behind = rest.split_off(tasks);
            let job = handle.job().clone();
            let handle = JoinHandle::new(handle, self.engine.clone());
            self.wait_for(Held::Chunk(handle), job, rest);
            rest = behind;
        }
        assert!(rest.is_empty() || dropped, "{rest:?} got lost");
        rest.into_iter().for_each(|id| self.fates.detach(id));
    }

    fn call_back(&mut self, input: &mut Input<'_>) {
        let Some(at) = self.chosen(input) else { return };
        let calls = Arc::new(AtomicU32::new(0));
        self.calls.push(Arc::clone(&calls));
        self.waiting[at].handle.on_finish(move || {
            calls.fetch_add(1, Relaxed);
        });
    }

    fn detach(&mut self, input: &mut Input<'_>) {
        let Some(at) = self.chosen(input) else { return };
        let waiting = self.waiting.swap_remove(at);
        waiting.ids.iter().for_each(|id| self.fates.detach(*id));
    }

    // ---- the supervisor ----

    fn now(&self) -> Instant {
        Instant::now() + self.skew
    }

    fn tick(&mut self, input: &mut Input<'_>) {
        self.skew += Duration::from_millis(input.number() as u64);
        let now = self.now();
        self.with(|scheduler, after| scheduler.tick(now, after));
        self.with(|scheduler, _| scheduler.next_look(now));
    }

    /// What is due; whoever is to be killed dies at once.
    fn look_at_the_clock(&mut self) {
        let now = self.now();
        let killed = self.with(|scheduler, after| scheduler.due(now, after));
        killed.into_iter().for_each(|index| self.die(index));
    }

    /// A worker dies, and another one comes.
    fn die(&mut self, index: usize) {
        self.settle(index);
        self.pids += 1;
        self.workers[index] = serve(&self.shared, index, self.pids);
    }

    fn settle(&mut self, index: usize) {
        let exit = Exit {
            signal: Some(9),
            code: None,
        };
        self.with(|scheduler, after| scheduler.settle(index, exit, None, None, after));
    }

    // ---- the workers ----

    fn work(&mut self, index: usize) -> bool {
        let fates = &mut self.fates;
        self.workers[index].step(|id| {
            if index == HONEST {
                fates.ran(id);
            }
        })
    }

    /// Where the slot is that is so far behind the oldest task which is not collected.
    fn slot_at(&self, ahead: usize) -> u64 {
        let scheduler = self
            .shared
            .scheduler
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let done = scheduler.worker_queues[HOSTILE]
            .as_ref()
            .map_or(0, |worker_queue| worker_queue.done);
        HEADER_BYTES + (done as usize + ahead) as u64 % SLOTS as u64 * SLOT_BYTES
    }

    /// One of the 32 words of a slot; the first is its state.
    fn write_slot(&self, input: &mut Input<'_>) {
        let [ahead, word, value] = [input.number(), input.number(), input.number()];
        let at = self.slot_at(ahead) + 4 * (word as u64 % 32);
        self.workers[HOSTILE].scribble(at, &(value as u32).to_le_bytes());
    }

    /// One of the 16 double words of a slot.
    fn write_slot_number(&self, input: &mut Input<'_>) {
        let [ahead, word] = [input.number(), input.number()];
        let value = match word & 16 {
            0 => input.word(),
            _ => input.long(),
        };
        let at = self.slot_at(ahead) + 8 * (word as u64 % 16);
        self.workers[HOSTILE].scribble(at, &value.to_le_bytes());
    }

    fn write_header(&self, input: &mut Input<'_>) {
        let (line, value) = (input.number() as u64, input.word());
        let at = line * LINE_BYTES % HEADER_BYTES;
        self.workers[HOSTILE].scribble(at, &value.to_le_bytes());
    }

    fn write_bytes(&self, input: &mut Input<'_>) {
        let (at, len) = (input.number() as u64, input.number());
        self.workers[HOSTILE].write(at * 8, input.bytes(len));
    }

    /// So much of the same that it could be a large result.
    fn write_block(&self, input: &mut Input<'_>) {
        let (len, byte) = (input.number(), input.byte());
        self.workers[HOSTILE].write(0, &vec![byte; len << 10]);
    }

    // ---- what has to hold ----

    fn check_honest_lane(&self) {
        let scheduler = self
            .shared
            .scheduler
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let corrupt = scheduler.worker_queues[HONEST]
            .as_ref()
            .is_some_and(|worker_queue| worker_queue.corrupt);
        assert!(!corrupt, "the honest worker is taken for another");
    }

    /// Time passes without anybody writing anything: what can move has moved, and nobody who
    /// waits finds a slot at which there is nothing to wait for.
    fn calm_down(&mut self) {
        self.puts_off = false;
        while !self.put_off.is_empty() {
            self.do_put_off(true);
        }
        for _ in 0..3 {
            self.skew += Duration::from_millis(10);
            let now = self.now();
            self.with(|scheduler, after| scheduler.tick(now, after));
            self.look_at_the_clock();
            while self.work(HONEST) {}
        }
        self.with(Scheduler::turn);
        let scheduler = self
            .shared
            .scheduler
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for waiting in &self.waiting {
            if waiting.is_resolved() {
                continue;
            }
            if let Some((worker_queue, seq)) = scheduler.find(&waiting.job) {
                let state = worker_queue.lane.slot(seq).state();
                let ids = &waiting.ids;
                assert!(
                    matches!(state, SlotState::Ready | SlotState::Running) || worker_queue.corrupt,
                    "{ids:?} wait at a slot that is {state:?}"
                );
            }
        }
    }

    /// The hostile worker is gone: the other one does all that is left.
    fn end(mut self) {
        self.calm_down();
        self.settle(HOSTILE);
        self.finish_the_work();
        while let Some(last) = self.waiting.len().checked_sub(1) {
            let waiting = &self.waiting[last];
            assert!(waiting.is_resolved(), "{:?} wait for ever", waiting.ids);
            self.take(last);
            self.finish_the_work();
        }
        self.check_honest_lane();
        self.fates.check();
        self.shared.effects.join();
        for calls in self.calls {
            assert_eq!(calls.load(Relaxed), 1, "the calls of one callback");
        }
    }

    /// Also what waits for another run.
    fn finish_the_work(&mut self) {
        self.skew += Duration::from_secs(20);
        self.look_at_the_clock();
        self.with(Scheduler::turn);
        while self.work(HONEST) {
            self.with(Scheduler::turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_killed_for_the_task_that_it_is_at_and_for_no_other() {
        let mut world = World::new();
        for _ in 0..8 {
            let probe = Probe::new(world.fates.add(10, &Options::default()), 10, 0);
            let (handle, job) = world.send(probe);
            let ids = vec![world.fates.len() as u32 - 1];
            world.wait_for(Held::One(handle), job, ids);
        }
        let shared = Arc::clone(&world.shared);
        let worker = &mut world.workers[HONEST];
        assert!(worker.step(|_| {}), "it starts the first task");
        shared.with(|scheduler, after| {
            let first = scheduler.worker_queues[HONEST]
                .as_ref()
                .expect("a lane")
                .done;
            assert!(
                scheduler.worker_queues[HONEST]
                    .as_ref()
                    .expect("a lane")
                    .runs(first)
            );
            // After the look that found it there:
            assert!(worker.step(|_| {}), "it ends the first task");
            assert!(worker.step(|_| {}), "it starts the next one");
            assert!(!scheduler.condemn(HONEST, first, after));
            let worker_queue = scheduler.worker_queues[HONEST].as_ref().expect("a lane");
            assert!(worker_queue.runs(first + 1) && !worker_queue.life.condemned);
            assert!(scheduler.condemn(HONEST, first + 1, after));
        });
        let worker = &mut world.workers[HONEST];
        assert!(worker.step(|_| {}), "it ends that one");
        while worker.step(|_| {}) {}
        let queue_is_idle = |scheduler: &mut Scheduler, after: &mut After| {
            scheduler.turn(after);
            scheduler.worker_queues[HONEST]
                .as_ref()
                .is_some_and(|worker_queue| worker_queue.ahead() == 0)
        };
        assert!(shared.with(queue_is_idle), "it has started no other");
        for worker in &mut world.workers {
            while worker.step(|_| {}) {}
        }
        world.waiting.clear();
    }
}
