//! The runs that an agent has leave for, on their way through its local pool.

use super::*;

impl Service {
    /// A run has leave to start.
    pub(super) fn begin(&mut self, key: Key, now: Instant) {
        let Some(held) = self.table.get(key) else {
            return;
        };
        if held.is_stopped {
            let error = TaskError::cancelled("");
            return self.failed(key, 0, &error, now);
        }
        let Some(len) = held.order.stays else {
            return self.start(key, now);
        };
        let part = key.1.whole();
        self.table.fetches(key);
        let client = self.client.clone();
        let subject = self.names.to_submitter(self.table.client_name(key.0));
        let done = self.fetched.0.clone();
        tokio::spawn(async move {
            let piece = fetch::piece(&client);
            let message = |fetch: Fetch| wire::encode(&ToSubmitter::Fetch(fetch), &[]);
            let body = fetch::fetch(client, subject, part, len, piece, message).await;
            let _ = done.send((key, body));
        });
    }

    pub(super) fn was_fetched(&mut self, key: Key, body: Option<Bytes>) {
        let now = Instant::now();
        if self.table.get(key).is_some_and(|held| held.is_stopped) {
            return self.failed(key, 0, &TaskError::cancelled(""), now);
        }
        if self.table.fetched(key, body, now) {
            self.start(key, now);
        }
    }

    pub(super) fn start(&mut self, key: Key, now: Instant) {
        let Some(held) = self.table.get_mut(key) else {
            return;
        };
        let order = held.order;
        let options = Options {
            timeout: order.timeout,
            earlier: order.attempt.saturating_sub(1),
            chunk: order.chunk,
            seed: order.is_seeded.then_some(0),
            ..Options::default()
        };
        let args = Args::from(&held.body[..]);
        match relay::submit(&self.pool, order.task, args, options) {
            Some(handle) => {
                let number = handle.enter(&mut self.completions);
                self.enter(number, key, 0, handle);
                self.has_started = true;
                self.table.started(key, number, now);
                tracing::debug!(job = key.1.job, run = key.1.run, "starts");
            }
            None => self.failed(key, 0, &relay::unknown(), now),
        }
    }

    pub(super) fn enter(
        &mut self,
        number: usize,
        key: Key,
        part: u32,
        handle: JoinHandle<Relayed>,
    ) {
        let running = Running {
            key,
            part,
            handle,
            returns: false,
        };
        self.running.insert(number, running);
    }

    /// Hands back what has waited here for too long, beside seats that are taken.
    pub(super) fn hand_back(&mut self, now: Instant) {
        for number in self.table.overdue(now) {
            if let Some(part) = self.running.get_mut(&number) {
                part.hand_back();
            }
        }
    }

    /// A job of the local pool has an outcome.
    pub(super) fn ended(&mut self, number: usize) {
        let now = Instant::now();
        let Some(running) = self.running.remove(&number) else {
            return;
        };
        let Running {
            key,
            part,
            handle,
            returns,
        } = running;
        match handle.into_outcome() {
            Ok(Relayed { answer, chunk }) => self.answer(key, part, answer, chunk, now),
            Err(error) if returns && error.is_cancelled() => self.table.returns(key),
            Err(error) if error.is_rejected() => {
                // The local pool is broken: others may be better off.
                self.broken.get_or_insert(Error::cluster(error.to_string()));
                if self.own.is_none() {
                    // Its workers cannot be started, so nothing runs.
                    self.table.returns(key);
                } else if self.own.as_deref() != Some(self.table.client_name(key.0)) {
                    // An initializer has failed, beside which others may have run something. The pool
                    // that the agent belongs to rejects what it has itself.
                    let lost =
                        TaskError::new(TaskErrorKind::WorkerLost, "").message_is(error.to_string());
                    self.failed(key, part, &lost, now);
                }
            }
            Err(error) => {
                tracing::info!(job = key.1.job, %error, "no result");
                self.failed(key, part, &error, now);
            }
        }
    }

    pub(super) fn failed(&mut self, key: Key, part: u32, error: &TaskError, now: Instant) {
        let outcome = Outcome {
            fate: Fate::Failed(Failure::of(error)),
            payload: Bytes::new(),
            is_large: false,
        };
        self.table.done(key, part, outcome, now);
    }

    pub(super) fn answer(
        &mut self,
        key: Key,
        part: u32,
        answer: crate::codec::Answer,
        chunk: Option<crate::job::work::ChunkFacts>,
        now: Instant,
    ) {
        let chunk = chunk.map(|facts| {
            let mut others = Vec::with_capacity(facts.others.len());
            for (job, tasks) in facts.others {
                let Some(handle) = relay::part(&self.pool, job) else {
                    continue;
                };
                let number = handle.enter(&mut self.completions);
                let Some(part) = self.table.divided(key, part, number) else {
                    // Nobody wants it any more.
                    handle.give_up(true);
                    continue;
                };
                self.enter(number, key, part, handle);
                others.push((part, tasks as u32));
            }
            Chunk {
                ran: facts.ran as u32,
                lost: facts.lost.as_ref().map(Failure::of),
                others,
                run_time: facts.run_time,
            }
        });
        let bytes = answer.payload.as_slice();
        let limit = MAX_INLINE.min(self.client.max_payload() / 2);
        let is_large = bytes.len() > limit;
        let outcome = Outcome {
            fate: Fate::Answer {
                reply: answer.reply as u32,
                worker: answer.worker,
                payload: match is_large {
                    true => Payload::Stays(bytes.len() as u64),
                    false => Payload::Here(bytes.len() as u32),
                },
                chunk,
            },
            payload: Bytes::copy_from_slice(bytes),
            is_large,
        };
        self.table.done(key, part, outcome, now);
    }
}
