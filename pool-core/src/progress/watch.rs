//! Who looks at the maps: one thread, from the beginning of the first map that is to be shown to
//! the end of the last.
//!
//! A map writes two counters and nothing else ([`Live::done`], [`Live::failed`]); it is the only
//! one that writes them, so it neither needs a read-modify-write nor looks at the clock. The thread
//! reads them some times a second. The last state is shown by the thread that ends the map, under
//! the lock of [`Live::shows`]: nothing is shown after it, and whoever has seen the map end has
//! seen it shown.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle as Thread};
use std::time::{Duration, Instant};

use super::speed::{Speed, eta, mean};
use super::{ProgressStage, ProgressState};
use crate::error::panics;
use crate::error::panics::drop_quietly;

/// How long the thread sleeps between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Shows a state: the program's own callback, a bar, lines.
pub(super) type Show = Box<dyn FnMut(&ProgressState) + Send>;

/// A map that is shown.
pub(super) struct Live {
    title: Arc<str>,
    total: Option<u64>,
    begin: Instant,
    /// How many workers of its pool are at work.
    running: Box<dyn Fn() -> usize + Send + Sync>,
    /// Outcomes that were returned, and how many of them are failures. Written by the map alone;
    /// all is relaxed, since nothing hangs on them but what is shown.
    pub(super) done: AtomicU64,
    pub(super) failed: AtomicU64,
    shows: Mutex<Shows>,
}

#[derive(Default)]
struct Shows {
    /// Empty once the map is over.
    all: Vec<Show>,
    speed: Speed,
}

impl Live {
    /// From now on the map is looked at.
    pub(super) fn begin(
        title: Arc<str>,
        total: Option<u64>,
        running: Box<dyn Fn() -> usize + Send + Sync>,
        shows: Vec<Show>,
    ) -> Option<Arc<Self>> {
        if shows.is_empty() || !is_home() {
            return None;
        }
        let shows = Shows {
            all: shows,
            speed: Speed::default(),
        };
        let live = Arc::new(Self {
            title,
            total,
            begin: Instant::now(),
            running,
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            shows: Mutex::new(shows),
        });
        Watch::add(Arc::clone(&live));
        Some(live)
    }

    /// It is over: shows that, and is looked at no more.
    pub(super) fn end(self: Arc<Self>, stage: ProgressStage) {
        // In a forked process nobody looks, and the locks are in whatever state they were.
        if !is_home() {
            return;
        }
        let done = self.done.load(Relaxed);
        // Whoever counts along needs no `None` to know that it was the last.
        let stage = match self.total {
            Some(total) if total == done => ProgressStage::Finished,
            _ => stage,
        };
        // While a thread unwinds nothing can be drawn in it.
        off_panic(|| self.show(stage));
        Watch::remove(&self);
    }

    fn show(&self, stage: ProgressStage) {
        // Before the lock: a look at a pool may run wakers and callbacks.
        let running = (self.running)();
        let mut shows = lock(&self.shows);
        if shows.all.is_empty() {
            return;
        }
        let state = self.state(&mut shows.speed, stage, running);
        for mut show in std::mem::take(&mut shows.all) {
            // One that panics is printed by the hook, and not called again.
            if panics::catch(|| show(&state)).is_ok() && !state.is_over() {
                shows.all.push(show);
            } else {
                drop_quietly(show);
            }
        }
    }

    fn state(&self, speed: &mut Speed, stage: ProgressStage, running: usize) -> ProgressState {
        let failed = self.failed.load(Relaxed);
        let done = self.done.load(Relaxed);
        let elapsed = self.begin.elapsed();
        let rate = match stage {
            ProgressStage::Running => speed.look(done, elapsed),
            _ => mean(done, elapsed),
        };
        ProgressState {
            title: Arc::clone(&self.title),
            done,
            failed: failed.min(done),
            total: self.total,
            running,
            elapsed,
            rate,
            eta: self
                .total
                .and_then(|total| eta(total.saturating_sub(done), rate)),
            stage,
        }
    }
}

/// All maps that are shown, and the thread that looks at them.
struct Watch {
    live: Vec<Arc<Live>>,
    looker: Option<Looker>,
}

struct Looker {
    thread: Thread<()>,
    is_over: Arc<AtomicBool>,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch {
    live: Vec::new(),
    looker: None,
});

impl Watch {
    fn add(live: Arc<Live>) {
        let mut watch = lock(&WATCH);
        watch.live.push(live);
        if watch.looker.is_none() {
            // Without a thread only the last states are shown.
            watch.looker = Looker::start();
        }
    }

    fn remove(live: &Arc<Live>) {
        let mut watch = lock(&WATCH);
        watch.live.retain(|other| !Arc::ptr_eq(other, live));
        let looker = match watch.live.is_empty() {
            true => watch.looker.take(),
            false => None,
        };
        drop(watch);
        if let Some(looker) = looker {
            looker.end();
        }
    }
}

impl Looker {
    fn start() -> Option<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let look = move || {
            while !told.load(Relaxed) {
                thread::park_timeout(LOOK_EVERY);
                if told.load(Relaxed) {
                    break;
                }
                // Shown without the lock: a callback may map.
                let live = lock(&WATCH).live.clone();
                for live in live {
                    live.show(ProgressStage::Running);
                }
            }
        };
        let thread = thread::Builder::new()
            .name("pool-progress".into())
            .spawn(look)
            .ok()?;
        Some(Self { thread, is_over })
    }

    /// No map is left, so no callback runs, unless it is the one that has ended the last map.
    fn end(self) {
        self.is_over.store(true, Relaxed);
        self.thread.thread().unpark();
        if self.thread.thread().id() != thread::current().id() {
            let _ = self.thread.join();
        }
    }
}

/// Runs code that must not be in a thread that panics in one that does not.
pub(super) fn off_panic(code: impl FnOnce() + Send) {
    if !thread::panicking() {
        return code();
    }
    thread::scope(|scope| {
        // Where there is no thread to be had nothing is shown.
        let _ = thread::Builder::new().spawn_scoped(scope, code);
    });
}

/// Whether this is the process that showed something first. One that is forked from it has neither
/// its thread nor the right to its locks.
pub(super) fn is_home() -> bool {
    static HOME: AtomicU32 = AtomicU32::new(0);
    let here = std::process::id();
    match HOME.compare_exchange(0, here, Relaxed, Relaxed) {
        Ok(_) => true,
        Err(home) => home == here,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
