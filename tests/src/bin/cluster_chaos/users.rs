//! What a thread does to the pools, and what it makes of the outcomes.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pool_core::{JoinHandle, Map, Pool, Task, TaskError, TaskErrorKind, TaskExt};
use pool_tests::block_on;
use pool_tests::chance::{Random, mix, pause};

use crate::figures::{FIGURES, add, blame};
use crate::ledger::Fate;
use crate::others::{
    EXIT_CODE, bytes_of, carry, carry_answer, lasts, leaves, make, panic_message, panics, small,
    small_answer, stumbles, total, total_answer,
};
use crate::tasks::{aborts, draws, draws_quietly};
use crate::world::{BOUND, World};

/// A time limit that no task reaches.
const AMPLE: Duration = Duration::from_secs(900);

/// How long a task goes on that waits for its end: not for ever, where its cancel is lost with its
/// agent's connection.
const ENDLESS: Duration = Duration::from_secs(600);

/// How many agents or workers a task may lose that is `idempotent`.
const LOST: u32 = 3;

/// Between two looks at a task in which no agent can have taken it, begun it, and said that it is
/// over.
const AT_ONCE: Duration = Duration::from_micros(300);

const KIBIBYTE: usize = 1 << 10;
const MEBIBYTE: usize = 1 << 20;

/// The largest argument and result.
const LARGEST: u64 = 3 << 20;

type Small = JoinHandle<Result<u64, String>>;

/// What the caller knows of a task: which outcomes there can be.
#[derive(Debug, Clone, Copy)]
struct Asked {
    number: u64,
    since: Instant,
    panics: bool,
    /// It ends its process.
    leaves: bool,
    /// Its time limit may be too short.
    late: bool,
    /// It may not wait long for its start.
    hurried: bool,
    retries: u32,
    idempotent: bool,
    /// Its cancel said that it was cancelled by it.
    cancelled: bool,
    /// No agent had it then.
    waited: bool,
    /// Its pool was killed, perhaps before its end, or told to do only what has started.
    killed: bool,
    /// Its pool had been shut down.
    refused: bool,
}

impl Asked {
    fn of(number: u64) -> Self {
        Self {
            number,
            since: Instant::now(),
            panics: false,
            leaves: false,
            late: false,
            hurried: false,
            retries: 0,
            idempotent: false,
            cancelled: false,
            waited: false,
            killed: false,
            refused: false,
        }
    }

    /// How often it may run.
    fn runs(&self) -> u32 {
        let unasked = if self.idempotent { LOST } else { 1 };
        (1 + self.retries).max(unasked)
    }
}

pub(crate) struct User {
    world: Arc<World>,
    random: Random,
}

impl User {
    pub(crate) fn new(world: Arc<World>, seed: u64) -> Self {
        let random = Random::new(seed);
        Self { world, random }
    }

    /// Until it is over.
    pub(crate) fn run(mut self) {
        while !self.world.is_over() {
            match self.random.below(100) {
                0..14 => self.one_by_one(),
                14..26 => self.burst(),
                26..44 => self.map_small(),
                44..52 => self.map_long(),
                52..58 => self.map_bytes(),
                58..68 => self.sizes(),
                68..74 => self.deadlines(),
                74..82 => self.cancels(),
                82..89 => self.failures(),
                89..93 => self.flood(),
                93..96 => self.map_seeded(),
                _ => self.side_pool(),
            }
        }
    }

    fn pool(&mut self) -> Pool {
        self.world.pools[self.random.below(2) as usize].clone()
    }

    // ---- what is done ----

    /// Submits in any of the ways that end with a handle.
    fn submit<T: Task>(&mut self, pool: &Pool, task: T) -> JoinHandle<T::Output> {
        match self.random.below(12) {
            0 => block_on(pool.submit_async(task)),
            1 => pool
                .try_submit(task)
                .unwrap_or_else(|task| pool.submit(task)),
            _ => pool.submit(task),
        }
    }

    fn submit_with_leave<T: Task>(
        &mut self,
        pool: &Pool,
        asked: &Asked,
        task: T,
    ) -> JoinHandle<T::Output> {
        let task = task.retries(asked.retries);
        match asked.idempotent {
            true => self.submit(pool, task.idempotent()),
            false => self.submit(pool, task),
        }
    }

    fn submit_small(&mut self, pool: &Pool) -> (Asked, Small) {
        let number = self.world.ledger.open(1);
        let task = small::task(&self.world.call(number), self.random.micros());
        let mut asked = Asked::of(number);
        let handle = match self.random.below(16) {
            0 => self.submit(pool, task.timeout(AMPLE)),
            1 => self.submit(pool, task.queue_timeout(AMPLE)),
            2 => {
                asked.hurried = true;
                let limit = Duration::from_millis(self.random.below(400));
                self.submit(pool, task.queue_timeout(limit))
            }
            3 | 4 => {
                asked.idempotent = self.random.one_in(2);
                asked.retries = self.random.below(3) as u32;
                self.submit_with_leave(pool, &asked, task)
            }
            _ => self.submit(pool, task),
        };
        (asked, handle)
    }

    fn one_by_one(&mut self) {
        let pool = self.pool();
        for _ in 0..self.random.below(40) {
            let (asked, handle) = self.submit_small(&pool);
            self.end_small(asked, handle);
            if self.world.is_over() {
                return;
            }
        }
    }

    fn burst(&mut self) {
        let pool = self.pool();
        let mut handles = Vec::new();
        for _ in 0..self.random.below(300) {
            let (asked, handle) = self.submit_small(&pool);
            if !asked.hurried && self.random.one_in(50) {
                drop(handle);
                let (number, runs) = (asked.number, asked.runs());
                self.world.ledger.close(number, Fate::Detached, runs);
            } else {
                handles.push((asked, handle));
            }
        }
        if self.random.one_in(3) {
            handles.reverse();
        }
        for (asked, handle) in handles {
            self.end_small(asked, handle);
        }
    }

    /// As many as find room.
    fn flood(&mut self) {
        let which = self.random.below(2) as usize;
        let pool = self.world.pools[which].clone();
        let mut handles = Vec::new();
        for _ in 0..self.random.below(400) {
            let number = self.world.ledger.open(1);
            let task = small::task(&self.world.call(number), self.random.micros());
            match pool.try_submit(task) {
                Ok(handle) => handles.push((Asked::of(number), handle)),
                Err(_) => {
                    self.world.ledger.close(number, Fate::NotTaken, 0);
                    if which == 0 {
                        blame(&FIGURES.wrong, "a queue without bounds is full");
                    }
                }
            }
        }
        for (asked, handle) in handles {
            self.end_small(asked, handle);
        }
    }

    /// Short ones, most of which travel as chunks.
    fn map_small(&mut self) {
        let len = self.random.below(3_000);
        let first = self.world.ledger.open(len as usize);
        let quick = self.random.one_in(2);
        let mut random = Random::new(self.random.number());
        let pulled = Cell::new(0);
        let world = Arc::clone(&self.world);
        let tasks = (first..first + len).map(|number| {
            pulled.set(pulled.get() + 1);
            let micros = if quick { 0 } else { random.micros() };
            small::task(&world.call(number), micros)
        });
        let mut asked = Asked::of(first);
        let pool = self.pool();
        match self.random.below(8) {
            0 => {
                let map = pool.map(tasks.map(|task| task.timeout(AMPLE)));
                self.walk(map, asked, len, &pulled, small_answer);
            }
            1 => {
                asked.retries = 2;
                let map = pool.map(tasks.map(|task| task.retries(2)));
                self.walk(map, asked, len, &pulled, small_answer);
            }
            2 => {
                asked.idempotent = true;
                let map = pool.map(tasks.map(TaskExt::idempotent));
                self.walk(map, asked, len, &pulled, small_answer);
            }
            _ => self.walk(pool.map(tasks), asked, len, &pulled, small_answer),
        }
    }

    /// Long ones, among short ones: chunks come apart.
    fn map_long(&mut self) {
        let len = self.random.below(60);
        let first = self.world.ledger.open(len as usize);
        let longest = self.random.below(400);
        let pulled = Cell::new(0);
        let world = Arc::clone(&self.world);
        let tasks = (first..first + len).map(|number| {
            pulled.set(pulled.get() + 1);
            let millis = match mix(number) % 3 {
                0 => mix(number) % (longest + 1),
                _ => 0,
            };
            lasts::task(&world.call(number), Duration::from_millis(millis), false)
        });
        let map = self.pool().map(tasks);
        self.walk(map, Asked::of(first), len, &pulled, |_| false);
    }

    fn map_bytes(&mut self) {
        let len = self.random.below(60);
        let first = self.world.ledger.open(len as usize);
        let most = 1 << (6 + self.random.below(14));
        let size = |number: u64| (number * 7_919) as usize % most;
        let pulled = Cell::new(0);
        let world = Arc::clone(&self.world);
        let tasks = (first..first + len).map(|number| {
            pulled.set(pulled.get() + 1);
            carry::task(&world.call(number), bytes_of(number, size(number)))
        });
        let answer = |number| carry_answer(number, bytes_of(number, size(number)));
        let map = self.pool().map(tasks);
        self.walk(map, Asked::of(first), len, &pulled, answer);
    }

    /// Every task draws what it draws elsewhere.
    fn map_seeded(&mut self) {
        let len = self.random.below(100);
        let first = self.world.ledger.open(len as usize);
        let root = self.random.number();
        let serial = Pool::inline();
        let quiet = serial.map((0..len).map(|_| draws_quietly::task()));
        let drawn: Vec<u64> = quiet.seed(root).map(Result::unwrap).collect();
        let pulled = Cell::new(0);
        let world = Arc::clone(&self.world);
        let tasks = (first..first + len).map(|number| {
            pulled.set(pulled.get() + 1);
            draws::task(&world.call(number))
        });
        let map = self.pool().map(tasks).seed(root);
        let answer = |number: u64| drawn[(number - first) as usize];
        self.walk(map, Asked::of(first), len, &pulled, answer);
    }

    /// Takes the results of a map of tasks that are all like the `first`, perhaps not all.
    fn walk<I, T>(
        &mut self,
        mut map: Map<I>,
        first: Asked,
        len: u64,
        pulled: &Cell<u64>,
        answer: impl Fn(u64) -> T,
    ) where
        I: Iterator<Item: Task<Output = T>>,
        T: PartialEq,
    {
        add(&FIGURES.maps, 1);
        if self.random.one_in(3) {
            map = map.chunk(1 + self.random.below(100) as usize);
        }
        if self.random.one_in(3) {
            map = map.in_flight(1 + self.random.below(300) as usize);
        }
        let unordered = self.random.one_in(3);
        if unordered {
            map = map.unordered();
        }
        let end = match self.random.one_in(4) {
            true => self.random.below(len + 1),
            false => len,
        };
        let mut map = map.with_index();
        let mut seen = HashSet::new();
        while (seen.len() as u64) < end {
            let Some((index, outcome)) = map.next() else {
                let text = format!("a map of {len} ended after {} results", seen.len());
                blame(&FIGURES.lost, &text);
                break;
            };
            let in_order = unordered || index == seen.len();
            if !in_order || !seen.insert(index) || index as u64 >= len {
                let text = format!("result {index} after {} of {len}", seen.len());
                blame(&FIGURES.wrong, &text);
                break;
            }
            let number = first.number + index as u64;
            let asked = Asked { number, ..first };
            self.judge(&asked, || Some(answer(number)), outcome);
            if self.random.one_in(200) && self.world.is_over() {
                break;
            }
        }
        if seen.len() as u64 == len && map.next().is_some() {
            blame(&FIGURES.wrong, "a map has more results than tasks");
        }
        drop(map);
        for at in (0..len).filter(|at| !seen.contains(&(*at as usize))) {
            let was_read = at < pulled.get();
            let fate = if was_read { Fate::Dropped } else { Fate::Never };
            let number = first.number + at;
            self.world.ledger.close(number, fate, first.runs());
        }
    }

    /// Arguments and results of up to [`LARGEST`].
    fn sizes(&mut self) {
        let pool = self.pool();
        let (mut carried, mut totals, mut made) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = 0;
        for _ in 0..self.random.below(6) {
            let size = match self.random.one_in(2) {
                true => self.random.below(LARGEST) as usize,
                false => self.random.below(800) as usize * KIBIBYTE,
            };
            bytes += size;
            let number = self.world.ledger.open(1);
            let call = self.world.call(number);
            let asked = Asked {
                idempotent: self.random.one_in(4),
                ..Asked::of(number)
            };
            match self.random.below(3) {
                0 => {
                    let task = carry::task(&call, bytes_of(number, size));
                    carried.push((asked, size, self.submit_with_leave(&pool, &asked, task)));
                }
                1 => {
                    let values: Vec<u64> = (0..size as u64 / 8).map(|at| at ^ number).collect();
                    let task = total::task(&call, &values);
                    let handle = self.submit_with_leave(&pool, &asked, task);
                    totals.push((asked, total_answer(&values), handle));
                }
                _ => {
                    let task = make::task(&call, size);
                    made.push((asked, size, self.submit_with_leave(&pool, &asked, task)));
                }
            }
        }
        add(&FIGURES.mebibytes, (bytes / MEBIBYTE) as u64);
        for (asked, answer, handle) in totals {
            self.end(asked, handle, || Some(answer));
        }
        for (asked, size, handle) in made {
            self.end(asked, handle, || Some(bytes_of(asked.number, size)));
        }
        for (asked, size, handle) in carried {
            let number = asked.number;
            self.end(asked, handle, || {
                Some(carry_answer(number, bytes_of(number, size)))
            });
        }
    }

    /// Limits that are too short, for tasks that go on until they are told or killed.
    fn deadlines(&mut self) {
        let pool = self.pool();
        let mut handles = Vec::new();
        for _ in 0..=self.random.below(3) {
            let number = self.world.ledger.open(1);
            let limit = Duration::from_millis(self.random.below(50));
            let listens = self.random.one_in(2);
            let task = lasts::task(&self.world.call(number), ENDLESS, listens);
            let asked = Asked {
                late: true,
                retries: u32::from(self.random.one_in(4)),
                ..Asked::of(number)
            };
            let task = task.timeout(limit).retries(asked.retries);
            handles.push((asked, pool.submit(task)));
            let (asked, handle) = self.submit_small(&pool);
            self.end_small(asked, handle);
        }
        for (asked, handle) in handles {
            self.end(asked, handle, || None);
        }
    }

    /// Long tasks and short ones, which are cancelled while they wait or run.
    fn cancels(&mut self) {
        let pool = self.pool();
        let mut long = Vec::new();
        for _ in 0..=self.random.below(3) {
            let number = self.world.ledger.open(1);
            let listens = self.random.one_in(2);
            // So that it ends where nobody cancels it.
            let task = lasts::task(&self.world.call(number), ENDLESS, listens);
            long.push((Asked::of(number), pool.submit(task)));
        }
        let mut short = Vec::new();
        for _ in 0..self.random.below(60) {
            short.push(self.submit_small(&pool));
            if short.len() > BOUND / 2 {
                break;
            }
        }
        pause(self.random.below(40_000));
        let stays = self.random.one_in(2);
        for (asked, handle) in &mut short {
            if !stays || self.random.one_in(3) {
                cancel(asked, handle);
            }
        }
        for (mut asked, handle) in long {
            cancel(&mut asked, &handle);
            self.end(asked, handle, || None);
        }
        for (asked, handle) in short {
            self.end_small(asked, handle);
        }
    }

    /// Tasks that panic, and tasks that end their worker, among others.
    fn failures(&mut self) {
        let pool = self.pool();
        let mut handles = Vec::new();
        for _ in 0..=self.random.below(5) {
            let number = self.world.ledger.open(1);
            let call = self.world.call(number);
            let leaves = self.random.one_in(5);
            let asked = Asked {
                leaves,
                panics: !leaves,
                retries: self.random.below(8).saturating_sub(5) as u32,
                idempotent: leaves && self.random.one_in(8),
                ..Asked::of(number)
            };
            let good = 1 + self.random.below(4) as u32;
            let stumbles = !leaves && self.random.one_in(2);
            let handle = if leaves {
                match self.random.one_in(2) {
                    true => self.submit_with_leave(&pool, &asked, leaves::task(&call)),
                    false => self.submit_with_leave(&pool, &asked, aborts::task(&call)),
                }
            } else if stumbles {
                self.submit_with_leave(&pool, &asked, stumbles::task(&call, good))
            } else {
                self.submit_with_leave(&pool, &asked, panics::task(&call))
            };
            handles.push((asked, handle, stumbles));
            let (asked, handle) = self.submit_small(&pool);
            self.end_small(asked, handle);
        }
        for (asked, handle, stumbles) in handles {
            self.end(asked, handle, || stumbles.then_some(mix(asked.number)));
        }
    }

    /// A pool that is built, used and ended in one of the ways.
    fn side_pool(&mut self) {
        let Ok(pool) = World::build(&self.world.url, self.world.replicas, None) else {
            // That it is an error is right where the servers are not there.
            add(&FIGURES.not_built, 1);
            pause(200_000);
            return;
        };
        add(&FIGURES.side_pools, 1);
        let mut handles: Vec<_> = (0..self.random.below(100))
            .map(|_| self.submit_small(&pool))
            .collect();
        let way = self.random.below(4);
        let killed = way > 1;
        match way {
            0 => drop(pool),
            1 => {
                pool.shutdown();
                let (asked, handle) = self.submit_small(&pool);
                let refused = true;
                handles.push((Asked { refused, ..asked }, handle));
            }
            2 => {
                pause(self.random.below(20_000));
                pool.kill();
            }
            _ => {
                let grace = Duration::from_millis(self.random.below(100));
                pool.shutdown_timeout(grace);
            }
        }
        for (asked, handle) in handles {
            if !handle.is_finished() {
                blame(&FIGURES.wrong, "a pool has ended before its tasks");
            }
            self.end_small(Asked { killed, ..asked }, handle);
        }
    }

    // ---- what comes of it ----

    fn end_small(&mut self, asked: Asked, handle: Small) {
        self.end(asked, handle, || Some(small_answer(asked.number)));
    }

    /// Waits in one of the ways there are. `answer` is what the serial call gives, if it returns.
    fn end<T: PartialEq>(
        &mut self,
        asked: Asked,
        handle: JoinHandle<T>,
        answer: impl FnOnce() -> Option<T>,
    ) {
        let outcome = self.wait(handle);
        self.judge(&asked, answer, outcome);
    }

    fn wait<T>(&mut self, handle: JoinHandle<T>) -> Result<T, TaskError> {
        match self.random.below(30) {
            0 => loop {
                if let Some(outcome) = handle.try_join() {
                    return outcome;
                }
                thread::yield_now();
            },
            1 | 2 => loop {
                let limit = Duration::from_millis(self.random.below(10));
                if let Some(outcome) = handle.join_timeout(limit) {
                    return outcome;
                }
            },
            3 => {
                let (finished, is_finished) = mpsc::channel::<()>();
                handle.on_finish(move || drop(finished));
                // Its end, without a message.
                let _ = is_finished.recv();
                if !handle.is_finished() {
                    blame(&FIGURES.wrong, "a callback was called before the end");
                }
                handle.join()
            }
            4 | 5 => block_on(handle),
            _ => handle.join(),
        }
    }

    /// Enters what became of a task, and says if it cannot have.
    fn judge<T: PartialEq>(
        &self,
        asked: &Asked,
        answer: impl FnOnce() -> Option<T>,
        outcome: Result<T, TaskError>,
    ) {
        let number = asked.number;
        let wrong = |what: &str| {
            let text = format!("task {number}, of which {asked:?}: {what}");
            blame(&FIGURES.wrong, &text);
            Fate::Odd
        };
        let fate = match outcome {
            Ok(_) if asked.cancelled || asked.refused => wrong("it has a result"),
            Ok(found) if Some(&found) == answer().as_ref() => Fate::Returned,
            Ok(_) => wrong("another result than that of the serial call"),
            Err(error) => self
                .fate_of(asked, &error)
                .unwrap_or_else(|| wrong(&format!("{error:?}"))),
        };
        self.world.ledger.close(number, fate, asked.runs());
    }

    /// `None`: nothing explains it.
    fn fate_of(&self, asked: &Asked, error: &TaskError) -> Option<Fate> {
        let kind = error.kind();
        if asked.cancelled && kind != TaskErrorKind::Cancelled {
            return None;
        }
        let attempt = error.attempt();
        let is_last = |runs| asked.killed || attempt == runs;
        match kind {
            TaskErrorKind::Panicked if asked.panics && is_last(asked.runs()) => {
                let message = panic_message(asked.number);
                let is_ours = error.message() == Some(&message)
                    && error.location().is_some_and(|at| at.contains("tasks.rs"));
                is_ours.then_some(Fate::Panicked)
            }
            TaskErrorKind::WorkerLost if is_last(asked.runs()) => {
                let has_left = error.exit_code() == Some(EXIT_CODE) || error.signal() == Some(6);
                if asked.leaves && has_left {
                    return Some(Fate::Exited);
                }
                let is_lost = self.world.faults.explain(asked.since);
                is_lost.then_some(Fate::Lost)
            }
            TaskErrorKind::TimedOut if asked.late && is_last(asked.runs()) => Some(Fate::TimedOut),
            TaskErrorKind::TimedOut if asked.hurried => Some(Fate::Expired),
            TaskErrorKind::Cancelled if asked.waited => Some(Fate::CancelledQueued),
            TaskErrorKind::Cancelled if asked.cancelled || asked.killed => Some(Fate::Cancelled),
            TaskErrorKind::Rejected if asked.refused => Some(Fate::Rejected),
            _ => None,
        }
    }
}

/// Cancels a task, and finds out whether that was surely before its start.
fn cancel<T>(asked: &mut Asked, handle: &JoinHandle<T>) {
    let begin = Instant::now();
    let ran = handle.is_running();
    asked.cancelled = handle.cancel();
    let runs = handle.is_running();
    let is_first = asked.retries == 0 && !asked.idempotent;
    asked.waited = asked.cancelled && !ran && !runs && is_first && begin.elapsed() < AT_ONCE;
}
