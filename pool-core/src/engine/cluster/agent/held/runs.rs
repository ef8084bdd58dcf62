//! The runs of an agent in its local pool.

use super::*;

impl Table {
    /// Its arguments are to be fetched.
    pub(in super::super) fn fetches(&mut self, key: Key) {
        if let Some(held) = self.held.get_mut(&key) {
            held.stage = Stage::Fetching;
        }
    }

    /// The arguments are there, or (`None`) cannot be had; whether it starts.
    pub(in super::super) fn fetched(
        &mut self,
        key: Key,
        body: Option<Bytes>,
        now: Instant,
    ) -> bool {
        let drains = self.drains;
        let Some(held) = self.held.get_mut(&key) else {
            return false;
        };
        if held.stage != Stage::Fetching {
            return false;
        }
        match body {
            Some(body) if !drains => {
                held.body = body;
                held.since = now;
                true
            }
            _ => {
                held.stage = Stage::Returning;
                self.busy -= 1;
                self.returning.push(key);
                false
            }
        }
    }

    /// The whole run is given to the local pool, under this number.
    pub(in super::super) fn started(&mut self, key: Key, number: usize, now: Instant) {
        if let Some(held) = self.held.get_mut(&key) {
            // It was counted while its submitter was asked.
            held.stage = Stage::Running;
            held.since = now;
            held.parts.insert(0, PartState::Running(number));
            held.body = Bytes::new();
        }
    }

    /// A part of a chunk, or of another part, is a job of its own now: its number as a part.
    pub(in super::super) fn divided(
        &mut self,
        key: Key,
        parent: u32,
        number: usize,
    ) -> Option<u32> {
        let held = self.held.get_mut(&key)?;
        let part = held.next_part;
        held.next_part += 1;
        held.parents.insert(part, parent);
        held.parts.insert(part, PartState::Running(number));
        self.busy += 1;
        Some(part)
    }

    /// A part has an outcome.
    pub(in super::super) fn done(&mut self, key: Key, part: u32, outcome: Outcome, now: Instant) {
        let Some(held) = self.held.get_mut(&key) else {
            return;
        };
        if matches!(held.stage, Stage::Asking | Stage::Fetching) {
            // Without having run.
            self.busy -= 1;
            held.stage = Stage::Running;
        }
        let took = now.saturating_duration_since(held.since);
        if let Some(PartState::Running(_)) =
            held.parts.insert(part, PartState::Done(Box::new(outcome)))
        {
            self.busy -= 1;
        }
        let runs = |part: &PartState| matches!(part, PartState::Running(_));
        if !held.is_acked && !held.parts.values().any(runs) {
            // With its outcome, in one go: nobody else needs the message any more.
            held.is_acked = true;
            self.acks.push(Ack::Done(held.ack.clone()));
        }
        let parent = held.parents.get(&part);
        // What its submitter has not heard of it would not know.
        if parent.is_none_or(|parent| !held.parts.contains_key(parent)) {
            self.unsent.push_back((key, part));
        }
        self.quick = if took <= QUICK { self.quick + 1 } else { 0 };
        if self.quick > QUICK_RUNS {
            self.ahead = (self.ahead + 1).min(MAX_AHEAD * self.seats);
            self.parked = self.seats + self.ahead / 2;
        } else if took >= SLOW {
            self.ahead /= 2;
            self.parked = if took < PARKED { self.seats } else { 0 };
        }
    }

    /// A run that was given to the local pool has not started there, and will not.
    pub(in super::super) fn returns(&mut self, key: Key) {
        let Some(held) = self.held.get_mut(&key) else {
            return;
        };
        if let Some(PartState::Running(_)) = held.parts.remove(&0) {
            self.busy -= 1;
        }
        held.stage = Stage::Returning;
        self.returning.push(key);
    }

    /// Runs that wait in the local pool although they were to start long ago, where seats are taken.
    pub(in super::super) fn overdue(&self, now: Instant) -> Vec<usize> {
        let late = self.held.values().filter(|held| {
            held.stage == Stage::Running
                && held.order.chunk == 0
                && now.saturating_duration_since(held.since) >= 2 * SLOW
        });
        late.filter_map(|held| match held.parts.get(&0) {
            Some(PartState::Running(number)) => Some(*number),
            _ => None,
        })
        .collect()
    }

    /// Whether runs may wait in the local pool.
    pub(in super::super) fn is_overbooked(&self) -> bool {
        self.busy > self.seats()
    }
}
