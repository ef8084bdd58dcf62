//! One round: a pool, the threads that use it, and the one that disturbs its workers; at its end
//! everything is counted.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, RwLock};
use std::thread;
use std::time::Duration;

use pool_core::{Backend, Pool};
use pool_tests::chance::Random;
use pool_tests::held::Held;
use tempfile::TempDir;

use crate::disturb::Disturber;
use crate::figures::{FIGURES, blame, moved};
use crate::journal::{Call, Reader};
use crate::ledger::Ledger;
use crate::rules::Rules;
use crate::users::{Pending, User};

/// What a round is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) backend: Backend,
    pub(crate) workers: usize,
    /// Whether their number changes.
    pub(crate) resizes: bool,
    pub(crate) threads: usize,
    pub(crate) length: Duration,
}

pub(crate) struct Round {
    pub(crate) pool: Pool,
    pub(crate) rules: Rules,
    pub(crate) resizes: bool,
    /// Held by the one thread that changes the number of workers.
    pub(crate) resizing: Mutex<()>,
    pub(crate) ledger: Ledger,
    /// Held by who needs a worker that nobody disturbs.
    pub(crate) calm: RwLock<()>,
    /// Held by the one thread that may have a pool on the side.
    pub(crate) aside: Mutex<()>,
    pub(crate) side_pools: AtomicUsize,
    /// Handles that one thread got and another one waits for.
    pub(crate) passed_on: Mutex<Vec<Pending>>,
    kills: Mutex<HashMap<u32, u64>>,
    over: AtomicBool,
    folder: TempDir,
}

impl Round {
    pub(crate) fn run(plan: Plan, random: &mut Random) {
        let before = Held::now();
        Self::new(plan, random).live(plan, random);
        for line in before.difference() {
            blame(&FIGURES.leaked, &line);
        }
        FIGURES.rounds.add(1);
        moved();
    }

    fn new(plan: Plan, random: &mut Random) -> Self {
        let grace = Duration::from_millis(random.below(60));
        let rules = Rules::any(random);
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal");
        Reader::create(&journal).unwrap();
        Self {
            pool: rules.build(plan.backend, plan.workers, grace, &journal),
            rules,
            resizes: plan.resizes,
            resizing: Mutex::default(),
            ledger: Ledger::default(),
            calm: RwLock::default(),
            aside: Mutex::default(),
            side_pools: AtomicUsize::new(0),
            passed_on: Mutex::default(),
            kills: Mutex::default(),
            over: AtomicBool::new(false),
            folder,
        }
    }

    fn live(self, plan: Plan, random: &mut Random) {
        thread::scope(|scope| {
            let this = &self;
            for _ in 0..plan.threads {
                let seed = random.number();
                scope.spawn(move || User::new(this, seed).run());
            }
            if plan.backend == Backend::Processes {
                let seed = random.number();
                scope.spawn(move || Disturber::new(this, seed).run());
            }
            thread::sleep(plan.length);
            this.over.store(true, SeqCst);
        });
        User::new(&self, random.number()).finish();
        self.rules.check_stats(&self.pool);
        self.pool.shutdown();
        Rules::check_last_stats(&self.pool);
        let mut journal = self.read_journal();
        let starts = journal.news().unwrap();
        if journal.is_torn() {
            blame(&FIGURES.wrong, "the journal ends in the middle of a note");
        }
        self.rules.check(plan.backend, &starts);
        self.ledger.check(&starts, &self.kills());
    }

    pub(crate) fn backend(&self) -> Backend {
        self.pool.backend()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// How often each worker was killed.
    pub(crate) fn kills(&self) -> MutexGuard<'_, HashMap<u32, u64>> {
        self.kills.lock().unwrap()
    }

    pub(crate) fn call(&self, number: u64) -> Call {
        Call::new(&self.journal(), number)
    }

    pub(crate) fn read_journal(&self) -> Reader {
        Reader::open(&self.journal()).unwrap()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }
}
