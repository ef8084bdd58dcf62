//! A running map: the items it has read, its tasks in flight, its results.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use super::Outcome;
use super::input_timer::InputTimer;
use super::pace::{MAX_CHUNK, Pace};
use super::unordered::Unordered;
use super::waiting::Waiting;
use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::codec;
use crate::engine::ChunkLimits;
use crate::error::panics::drop_quietly;
use crate::error::task_error::TaskError;
use crate::job::work::{Ran, SentChunk};
use crate::progress::Progress;
use crate::task::seed::Seeds;
use crate::task::{Task, WithOptions};

/// How many tasks of a map are in flight for each worker, unless [`Map::in_flight`] says otherwise:
/// enough to keep a worker busy while the consumer is busy elsewhere, few enough that an endless
/// input stays cheap. Fewer of tasks that take long ([`Pace::ahead`]).
///
/// [`Map::in_flight`]: super::Map::in_flight
const IN_FLIGHT_PER_WORKER: usize = 64;
const MIN_IN_FLIGHT: usize = 4;
const FIRST_IN_FLIGHT: usize = 8;

/// With a window so large, half of it keeps a worker busy.
const AMPLE_PER_WORKER: usize = 16;

/// How many chunks are in flight for each worker.
const CHUNKS_PER_WORKER: usize = 4;

/// What is common to all forms of a map.
pub(super) struct Flow<I: Iterator<Item: Task>> {
    /// Before the pool, since it says that it is over before it waits for that.
    pub(super) progress: Option<Progress>,
    pub(super) pool: Pool,
    /// `None` once it has ended: an iterator is not asked again after its `None`.
    input: Option<I>,
    /// What was read and not submitted.
    read: Vec<I::Item>,
    /// Was read after that, with its size, for which there is no room.
    held: Option<(I::Item, usize)>,
    /// The index of the next task to be submitted.
    next_in: usize,
    /// The tasks in flight, in the order of the inputs.
    pub(super) window: VecDeque<Part<I::Item>>,
    /// Has it instead where results come as they are ready.
    pub(super) unordered: Option<Unordered<I::Item>>,
    /// The index of the next result that the window gives.
    pub(super) next_out: usize,
    /// How many tasks are submitted and not returned.
    pub(super) ahead: usize,
    pub(super) in_flight: Option<usize>,
    pub(super) bytes: Option<Bytes>,
    pace: Pace,
    timer: InputTimer,
    chunk_limits: ChunkLimits,
    pub(super) seeds: Option<Seeds>,
    pub(super) timeout: Option<Duration>,
    pub(super) stops: Stops,
    /// Copies of the tasks in flight, by index, if the input is to be returned with the result.
    pub(super) copies: Option<HashMap<usize, I::Item>>,
    /// Whether it must not block: then there is [room](Self::has_room) for each job beforehand.
    pub(super) is_async: bool,
    /// Whether room for the next job is reserved.
    pub(super) has_room: bool,
}

/// A part of the window: tasks that come after one another.
pub(super) enum Part<T: Task> {
    Outcomes(std::vec::IntoIter<Outcome<T>>),
    Batch(Waiting<T>),
    Sent(Sent<T>),
}

/// A job of the pool.
pub(super) enum Sent<T: Task> {
    One(JoinHandle<T::Output>),
    /// With how many tasks are in it.
    Chunk(JoinHandle<Ran<T>>, usize),
}

/// After which errors it ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stops {
    pub(super) on_error: bool,
    pub(super) on_timeout: bool,
}

/// How many bytes of arguments are in flight.
#[derive(Debug)]
pub(super) struct Bytes {
    limit: usize,
    total: usize,
    /// By the index of the task.
    each: HashMap<usize, usize>,
}

impl Bytes {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            total: 0,
            each: HashMap::new(),
        }
    }

    /// Enters a task, if there is room for it.
    fn enter(&mut self, index: usize, size: usize) -> bool {
        let fits = self.each.is_empty() || self.total.saturating_add(size) <= self.limit;
        if fits {
            self.total += size;
            self.each.insert(index, size);
        }
        fits
    }

    fn leave(&mut self, index: usize) {
        self.total -= self.each.remove(&index).unwrap_or(0);
    }
}

impl<I: Iterator<Item: Task>> Flow<I> {
    pub(super) fn new(pool: Pool, input: I) -> Self {
        let chunk_limits = pool.chunk_limits();
        Self {
            progress: None,
            pool,
            input: Some(input),
            read: Vec::new(),
            held: None,
            next_in: 0,
            window: VecDeque::new(),
            unordered: None,
            next_out: 0,
            ahead: 0,
            in_flight: None,
            bytes: None,
            pace: Pace::adaptive(chunk_limits.time),
            timer: InputTimer::new(),
            chunk_limits,
            seeds: None,
            timeout: None,
            stops: Stops::default(),
            copies: None,
            is_async: false,
            has_room: false,
        }
    }

    pub(super) fn chunk(&mut self, tasks: usize) {
        self.pace = Pace::fixed(tasks.clamp(1, MAX_CHUNK));
    }

    /// How many tasks may be in flight now.
    fn bound(&self) -> usize {
        let workers = self.pool.workers();
        let wanted = self.in_flight.unwrap_or_else(|| {
            let each = match self.pace.ahead() {
                Some(tasks) => tasks.max(MIN_IN_FLIGHT),
                // Until it is known how long they take: more and more.
                None => FIRST_IN_FLIGHT + self.next_out / workers,
            };
            let each = each.min(IN_FLIGHT_PER_WORKER);
            workers * each.max(CHUNKS_PER_WORKER * self.pace.chunk)
        });
        // As many as may wait, and one for each worker.
        let limit = self.pool.queue_limit();
        limit.map_or(wanted, |limit| wanted.min(limit.saturating_add(workers)))
    }

    // ---- in ----

    /// Submits as much as there is room for. Of a slow input, it reads nothing while a result is
    /// ready.
    pub(super) fn fill(&mut self) {
        self.timer.begin_fill();
        if self.pool.runs_at_once() {
            // Nothing is gained by running ahead of the consumer, and no result waits for the input.
            if self.ahead == 0 {
                self.read_until(1);
                self.submit_single();
            }
            return;
        }
        // Refilled by halves, so that chunks are not cut small by a window that is nearly full, and
        // that workers which sleep are woken once for many tasks.
        let bound = self.bound();
        let is_ample = self.unordered.is_some() && bound >= AMPLE_PER_WORKER * self.pool.workers();
        let chunk = if is_ample { bound } else { self.pace.chunk };
        if chunk > 1 && self.ahead.saturating_add(chunk) > bound && self.ahead > bound / 2 {
            return;
        }
        while self.ahead < bound {
            let room = bound - self.ahead;
            let share = self.share();
            let most = self.pool.max_chunk().unwrap_or(MAX_CHUNK);
            let tasks = self.pace.chunk.min(room).min(share).min(most).max(1);
            self.read(tasks);
            if self.read.is_empty() || !self.finds_room() {
                return;
            }
            self.submit(tasks);
        }
    }

    /// Whether a job may be submitted now.
    fn finds_room(&mut self) -> bool {
        if self.is_async && !self.has_room {
            self.has_room = self.pool.reserve();
            return self.has_room;
        }
        true
    }

    /// Whether nothing is in flight, and nothing is left to be submitted.
    #[cfg(feature = "async")]
    pub(super) fn is_at_end(&self) -> bool {
        self.ahead == 0 && self.input.is_none() && self.read.is_empty() && self.held.is_none()
    }

    /// The size of a chunk at which every worker gets some of the remaining tasks.
    fn share(&self) -> usize {
        let left = self
            .input
            .as_ref()
            .map_or(Some(0), |input| input.size_hint().1);
        match left {
            Some(left) => (self.read.len().saturating_add(left) / (2 * self.pool.workers())).max(1),
            None => MAX_CHUNK,
        }
    }

    fn next_input(&mut self) -> Option<I::Item> {
        let input = self.input.as_mut()?;
        let task = self.timer.call(|| input.next());
        if task.is_none() {
            self.input = None;
        }
        task
    }

    /// Whether the input may be called now. If it is slow, tasks that were read are submitted first,
    /// and results that are ready are returned first.
    #[inline]
    fn may_call_input(&mut self) -> bool {
        if self.timer.is_slow() && self.input.is_some() {
            if !self.read.is_empty() || self.has_result() {
                return false;
            }
            self.timer.reset();
        }
        true
    }

    /// Whether the next result is ready.
    fn has_result(&mut self) -> bool {
        if let Some(unordered) = &mut self.unordered {
            return unordered.has_result();
        }
        match self.window.front_mut() {
            Some(Part::Outcomes(outcomes)) => outcomes.len() > 0,
            Some(Part::Batch(waiting)) => waiting.is_ready(),
            Some(Part::Sent(Sent::One(handle))) => handle.is_finished(),
            Some(Part::Sent(Sent::Chunk(handle, _))) => handle.is_finished(),
            None => false,
        }
    }

    /// Reads until there are `tasks` tasks to submit. Stops earlier where there is no room for more, or
    /// the input is slow.
    fn read(&mut self, tasks: usize) {
        self.read_until(tasks);
        self.timer.stop();
    }

    fn read_until(&mut self, tasks: usize) {
        self.read
            .reserve_exact(tasks.saturating_sub(self.read.len()));
        while self.read.len() < tasks {
            let index = self.next_in + self.read.len();
            let next = match self.held.take() {
                Some(held) => Some(held),
                None if !self.may_call_input() => return,
                None => self.next_input().map(|task| {
                    let size = self.bytes.as_ref().map_or(0, |_| codec::size(&task));
                    (task, size)
                }),
            };
            let Some((task, size)) = next else {
                return;
            };
            if self
                .bytes
                .as_mut()
                .is_some_and(|bytes| !bytes.enter(index, size))
            {
                self.held = Some((task, size));
                return;
            }
            if let Some(copies) = &mut self.copies
                && let Ok(copy) = codec::copy(&task)
            {
                copies.insert(index, copy);
            }
            self.read.push(task);
        }
    }

    /// Whether the task has to be a job of its own.
    fn is_single(&self, task: &I::Item) -> bool {
        self.timeout.is_some() || task.options().needs_a_job()
    }

    /// Submits one job: the first task that was read, or as many as may go with it.
    fn submit(&mut self, tasks: usize) {
        let is_remote = self.pool.is_remote();
        let batches =
            self.unordered.is_none() && !self.is_async && !self.pool.checks_serialization();
        let len = match is_remote || batches {
            true => {
                let first = self.read.iter().take(tasks);
                first.take_while(|task| !self.is_single(task)).count()
            }
            false => 0,
        };
        match len {
            0 => self.submit_single(),
            _ if is_remote => self.submit_chunk(len),
            _ => self.submit_batch(len),
        }
    }

    fn seeds(&self) -> Option<Seeds> {
        self.seeds.map(|seeds| seeds.from(self.next_in))
    }

    fn submit_batch(&mut self, len: usize) {
        let rest = self.read.split_off(len);
        let tasks = std::mem::replace(&mut self.read, rest);
        let waiting = Waiting::new(&self.pool, tasks, self.seeds(), self.pace.run());
        self.window.push_back(Part::Batch(waiting));
        self.next_in += len;
        self.ahead += len;
    }

    fn submit_chunk(&mut self, len: usize) {
        let encode = || SentChunk::of(&self.read[..len], self.seeds(), self.chunk_limits.bytes);
        let chunk = self.pool.metrics().encode(encode, SentChunk::len);
        let len = chunk.len();
        if len == 0 {
            // If it cannot be encoded, its handle will say so.
            return self.submit_single();
        }
        // The user's destructors: no panic of one takes the others along.
        self.read.drain(..len).for_each(drop_quietly);
        let handle = self
            .pool
            .submit_work(chunk, std::mem::take(&mut self.has_room));
        self.push(Sent::Chunk(handle, len), len);
    }

    fn submit_single(&mut self) {
        if self.read.is_empty() {
            return;
        }
        let task = self.read.remove(0);
        let reserved = std::mem::take(&mut self.has_room);
        let handle = if self.timeout.is_none() && self.seeds.is_none() {
            self.pool.submit_task(task, reserved)
        } else {
            let mut options = task.options();
            options.timeout = options.timeout.or(self.timeout);
            let seed = || self.seeds.map(|seeds| seeds.of(self.next_in));
            options.seed = options.seed.or_else(seed);
            self.pool
                .submit_task(WithOptions::new(task, options), reserved)
        };
        self.push(Sent::One(handle), 1);
    }

    fn push(&mut self, sent: Sent<I::Item>, tasks: usize) {
        match &mut self.unordered {
            Some(unordered) => unordered.push(sent, self.next_in),
            None => self.window.push_back(Part::Sent(sent)),
        }
        self.next_in += tasks;
        self.ahead += tasks;
    }

    // ---- out ----

    /// The next outcome and its index.
    pub(super) fn next(&mut self) -> Option<(usize, Outcome<I::Item>)> {
        self.begin_progress();
        let next = match self.unordered {
            Some(_) => self.next_unordered(),
            None => self.next_ordered().map(|outcome| (self.next_out, outcome)),
        };
        match next {
            Some((index, outcome)) => Some(self.returns(index, outcome)),
            None => self.ends(),
        }
    }

    /// Before the first outcome.
    #[inline]
    pub(super) fn begin_progress(&mut self) {
        if self.progress.as_ref().is_some_and(Progress::is_to_begin) {
            let left = self.left();
            if let Some(progress) = &mut self.progress {
                let pool = self.pool.downgrade();
                progress.begin(I::Item::NAME, left, move || pool.running());
            }
        }
    }

    /// No outcome is left.
    #[inline]
    pub(super) fn ends<T>(&mut self) -> Option<T> {
        if let Some(progress) = &mut self.progress {
            progress.finish();
        }
        None
    }

    /// An outcome leaves the map.
    pub(super) fn returns(
        &mut self,
        index: usize,
        outcome: Outcome<I::Item>,
    ) -> (usize, Outcome<I::Item>) {
        self.ahead -= 1;
        self.next_out += 1;
        if let Some(progress) = &mut self.progress {
            progress.count(outcome.is_err());
        }
        if let Some(bytes) = &mut self.bytes {
            bytes.leave(index);
        }
        let outcome = outcome.map_err(|error| error.index_is(index));
        if let Err(error) = &outcome
            && (self.stops.on_error || self.stops.on_timeout && error.is_timeout())
        {
            self.give_up(true);
        }
        (index, outcome)
    }

    /// The copy of a task whose outcome was returned.
    pub(super) fn take_copy(&mut self, index: usize) -> Option<I::Item> {
        self.copies.as_mut()?.remove(&index)
    }

    fn next_ordered(&mut self) -> Option<Outcome<I::Item>> {
        loop {
            let ready = self.next_ready();
            if ready.is_some() {
                return ready;
            }
            self.fill();
            match self.window.pop_front()? {
                Part::Sent(Sent::One(handle)) => return Some(handle.join()),
                Part::Sent(Sent::Chunk(handle, len)) => self.unpack(handle.join(), len),
                Part::Batch(mut waiting) => {
                    let outcome = waiting.wait(&self.pool, self.pace.nap());
                    self.window.push_front(Part::Batch(waiting));
                    return Some(outcome);
                }
                outcomes @ Part::Outcomes(_) => self.window.push_front(outcomes),
            }
        }
    }

    /// The next outcome in order, if it can be had without a look at the pool.
    pub(super) fn next_ready(&mut self) -> Option<Outcome<I::Item>> {
        loop {
            match self.window.front_mut()? {
                Part::Outcomes(outcomes) => {
                    if let Some(outcome) = outcomes.next() {
                        return Some(outcome);
                    }
                    self.window.pop_front();
                }
                Part::Batch(waiting) => {
                    if let Some(outcome) = waiting.consumer.take() {
                        return Some(outcome);
                    }
                    if waiting.consumer.left() > 0 {
                        return None;
                    }
                    let (ran, run_time) = waiting.consumer.batch().pace();
                    self.pace.learn(ran, run_time);
                    if let Some(Part::Batch(waiting)) = self.window.pop_front() {
                        waiting.end();
                    }
                    // The consumer has time to submit more before it looks at the next part.
                    return None;
                }
                Part::Sent(_) => return None,
            }
        }
    }

    /// Puts the outcomes of a chunk at the front of the window; what it has not started is jobs of
    /// its own by now.
    pub(super) fn unpack(&mut self, ran: Result<Ran<I::Item>, TaskError>, len: usize) {
        let Opened { outcomes, others } = self.open(ran, len);
        for sent in others.into_iter().rev() {
            self.window.push_front(Part::Sent(sent));
        }
        self.window.push_front(Part::Outcomes(outcomes.into_iter()));
    }

    fn open(&mut self, ran: Result<Ran<I::Item>, TaskError>, len: usize) -> Opened<I::Item> {
        match ran {
            Ok(ran) => {
                self.pace.learn(ran.outcomes.len().max(1), ran.run_time);
                Opened::of(&self.pool, ran)
            }
            // The whole chunk has one fate.
            Err(error) => Opened {
                outcomes: (0..len).map(|_| Err(error.clone())).collect(),
                others: Vec::new(),
            },
        }
    }

    fn next_unordered(&mut self) -> Option<(usize, Outcome<I::Item>)> {
        loop {
            if let Some(next) = self.unordered.as_mut()?.ready.pop_front() {
                return Some(next);
            }
            self.fill();
            let (sent, first) = self.unordered.as_mut()?.wait()?;
            self.arrived(sent, first);
        }
    }

    /// A job whose first task has this index is done.
    pub(super) fn arrived(&mut self, sent: Sent<I::Item>, first: usize) {
        let Opened { outcomes, others } = match sent {
            Sent::One(handle) => Opened {
                outcomes: vec![handle.into_outcome()],
                others: Vec::new(),
            },
            Sent::Chunk(handle, len) => self.open(handle.into_outcome(), len),
        };
        let Some(unordered) = &mut self.unordered else {
            return;
        };
        let mut index = first;
        for outcome in outcomes {
            unordered.ready.push_back((index, outcome));
            index += 1;
        }
        for sent in others {
            let len = sent.len();
            unordered.push(sent, index);
            index += len;
        }
    }

    pub(super) fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.left();
        match self.stops {
            Stops {
                on_error: false,
                on_timeout: false,
            } => (least, most),
            _ => (0, most),
        }
    }

    /// How many outcomes are left, unless it ends early.
    fn left(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.as_ref().map_or((0, Some(0)), I::size_hint);
        let ours = self.ahead + self.read.len() + usize::from(self.held.is_some());
        let most = most.and_then(|most| most.checked_add(ours));
        (least.saturating_add(ours), most)
    }

    /// Reads no more and cancels what has not started; with `running`, also what runs.
    pub(super) fn give_up(&mut self, running: bool) {
        self.input = None;
        self.ahead = 0;
        self.held.take().into_iter().for_each(drop_quietly);
        self.read.drain(..).for_each(drop_quietly);
        // From the back: what started last has the best chance of not having started.
        while let Some(part) = self.window.pop_back() {
            match part {
                Part::Outcomes(outcomes) => outcomes.for_each(drop_quietly),
                Part::Batch(waiting) => waiting.give_up(running),
                Part::Sent(sent) => sent.give_up(&self.pool, running),
            }
        }
        if let Some(unordered) = &mut self.unordered {
            unordered.give_up(&self.pool, running);
        }
    }

    pub(super) fn describe(&self, mut f: fmt::DebugStruct<'_, '_>) -> fmt::Result {
        f.field("pool", &self.pool)
            .field("ahead", &self.ahead)
            .field("in_flight", &self.bound())
            .finish_non_exhaustive()
    }
}

impl<I: Iterator<Item: Task>> Drop for Flow<I> {
    fn drop(&mut self) {
        self.give_up(false);
    }
}

impl<T: Task> Sent<T> {
    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Chunk(_, len) => *len,
        }
    }

    pub(super) fn give_up(self, pool: &Pool, running: bool) {
        match self {
            Self::One(handle) => handle.give_up(running),
            Self::Chunk(handle, _) => {
                handle.give_up(running);
                // It may have been divided.
                if let Some(Ok(ran)) = handle.try_join() {
                    let Opened { outcomes, others } = Opened::of(pool, ran);
                    outcomes.into_iter().for_each(drop_quietly);
                    for sent in others {
                        sent.give_up(pool, running);
                    }
                }
            }
        }
    }
}

/// What became of a chunk.
struct Opened<T: Task> {
    /// Of its first tasks.
    outcomes: Vec<Outcome<T>>,
    /// The jobs that the others are by now.
    others: Vec<Sent<T>>,
}

impl<T: Task> Opened<T> {
    fn of(pool: &Pool, ran: Ran<T>) -> Self {
        let sent = |(handle, len)| Sent::Chunk(pool.handle(handle), len);
        Self {
            outcomes: ran.outcomes,
            others: ran.others.into_iter().map(sent).collect(),
        }
    }
}
