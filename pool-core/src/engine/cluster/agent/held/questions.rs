//! What an agent asks and tells submitters, and what they answer.

use super::*;

impl Table {
    /// The next thing to be said: to which client, under which number.
    pub(in super::super) fn next_question(
        &mut self,
        now: Instant,
    ) -> Option<(usize, u64, Question)> {
        let (client, asked, question) = self
            .next_done()
            .or_else(|| self.next_back())
            .or_else(|| self.next_ask(now))?;
        let number = self.ask(client, asked, now);
        Some((client, number, question))
    }

    pub(super) fn ask(&mut self, client: usize, asked: Asked, now: Instant) -> u64 {
        // Random, so that nobody else can answer.
        let number = crate::task::seed::random();
        self.questions.insert(number, (client, asked, now));
        if let Some(client) = self.clients.get_mut(&client) {
            client.asked = now;
        }
        number
    }

    pub(super) fn next_ask(&mut self, now: Instant) -> Option<(usize, Asked, Question)> {
        let mut keys = Vec::new();
        while self.busy < self.seats() + self.ahead && keys.len() < self.max_together() {
            let Some(&key) = self.ready.front() else {
                break;
            };
            if keys.first().is_some_and(|(client, _)| *client != key.0) {
                break;
            }
            self.ready.pop_front();
            let Some(held) = self.held.get_mut(&key) else {
                continue;
            };
            if held.stage != Stage::Ready {
                continue;
            }
            held.stage = Stage::Asking;
            held.since = now;
            self.busy += 1;
            keys.push(key);
        }
        let &(client, _) = keys.first()?;
        let runs = keys.iter().map(|(_, run)| *run).collect();
        Some((client, Asked::Leave(keys), Question::Ask(runs)))
    }

    pub(super) fn next_done(&mut self) -> Option<(usize, Asked, Question)> {
        let mut parts = Vec::new();
        let mut bytes = 0;
        let (most, most_bytes) = (
            self.max_together(),
            MAX_TOGETHER_BYTES.min(self.max_payload / 2),
        );
        while let Some(&(key, part)) = self.unsent.front() {
            let outcome = self.held.get(&key).and_then(|held| held.parts.get(&part));
            let Some(PartState::Done(outcome)) = outcome else {
                self.unsent.pop_front();
                continue;
            };
            let is_other = parts
                .first()
                .is_some_and(|((client, _), _): &(Key, u32)| *client != key.0);
            // A large one is heard when it has been fetched, so it goes alone.
            let is_full = outcome.is_large
                || parts.len() >= most
                || bytes + outcome.payload.len() > most_bytes;
            if is_other || is_full && !parts.is_empty() {
                break;
            }
            let is_large = outcome.is_large;
            bytes += outcome.payload.len();
            self.unsent.pop_front();
            parts.push((key, part));
            if is_large {
                break;
            }
        }
        let &((client, _), _) = parts.first()?;
        let told = parts
            .iter()
            .map(|&((_, run), part)| Part { run, part })
            .collect();
        Some((client, Asked::Heard(parts), Question::Done(told)))
    }

    pub(super) fn next_back(&mut self) -> Option<(usize, Asked, Question)> {
        let &(client, _) = self.returning.first()?;
        let most = self.max_together();
        let mut keys = Vec::new();
        self.returning.retain(|key| {
            let goes = key.0 == client && keys.len() < most;
            if goes {
                keys.push(*key);
            }
            !goes
        });
        let runs = keys.iter().map(|(_, run)| *run).collect();
        Some((client, Asked::Back(keys), Question::Back(runs)))
    }

    /// The verdicts on what was asked: the runs that start now.
    pub(in super::super) fn judged(
        &mut self,
        number: u64,
        verdicts: &[Verdict],
        now: Instant,
    ) -> Vec<Key> {
        let Some((client, Asked::Leave(keys), _)) = self.questions.remove(&number) else {
            return Vec::new();
        };
        self.client_spoke(client, now);
        let mut go = Vec::new();
        for (at, key) in keys.into_iter().enumerate() {
            let Some(held) = self.held.get_mut(&key) else {
                continue;
            };
            if held.stage != Stage::Asking {
                continue;
            }
            match verdicts.get(at) {
                Some(Verdict::Go) if self.drains => {
                    held.stage = Stage::Returning;
                    self.busy -= 1;
                    self.returning.push(key);
                }
                Some(Verdict::Go) => {
                    held.since = now;
                    go.push(key);
                }
                Some(Verdict::Drop) => self.forget_and_ack(key, Ack::Done),
                Some(Verdict::Elsewhere) => drop(self.forget(key)),
                None => self.ask_again(key),
            }
        }
        go
    }

    pub(super) fn ask_again(&mut self, key: Key) {
        if let Some(held) = self.held.get_mut(&key)
            && held.stage == Stage::Asking
        {
            held.is_unsure = true;
            if self.drains {
                return self.hand_back(key, Duration::ZERO);
            }
            held.stage = Stage::Ready;
            self.busy -= 1;
            self.ready.push_front(key);
        }
    }

    /// A run that has not started here goes back to the queue; where its submitter may have given leave,
    /// only after that has heard of it.
    pub(super) fn hand_back(&mut self, key: Key, delay: Duration) {
        let Some(held) = self.held.get_mut(&key) else {
            return;
        };
        if !held.is_unsure {
            return self.forget_and_ack(key, |ack| Ack::Back(ack, delay));
        }
        if matches!(held.stage, Stage::Asking | Stage::Fetching) {
            self.busy -= 1;
        }
        held.stage = Stage::Returning;
        self.returning.push(key);
    }

    /// What was said is heard, whatever it was.
    pub(in super::super) fn answered(&mut self, number: u64, now: Instant) {
        let Some((client, asked, at)) = self.questions.remove(&number) else {
            return;
        };
        self.client_spoke(client, now);
        match asked {
            // Its answer is of another form.
            Asked::Leave(keys) => {
                self.questions
                    .insert(number, (client, Asked::Leave(keys), at));
            }
            Asked::Heard(parts) => {
                for (key, part) in parts {
                    self.was_heard(key, part);
                }
            }
            Asked::Back(keys) => {
                for key in keys {
                    self.forget_and_ack(key, |ack| Ack::Back(ack, Duration::ZERO));
                }
            }
            Asked::Hello => {}
        }
    }

    pub(super) fn client_spoke(&mut self, client: usize, now: Instant) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.heard = now;
            client.absent = None;
        }
    }

    pub(super) fn was_heard(&mut self, key: Key, part: u32) {
        let Some(held) = self.held.get_mut(&key) else {
            return;
        };
        if matches!(held.parts.get(&part), Some(PartState::Done(_))) {
            held.parts.remove(&part);
            held.parents.remove(&part);
            // Of these the submitter knows now.
            let is_done = |part: &u32| matches!(held.parts.get(part), Some(PartState::Done(_)));
            let children = held.parents.iter().filter(|(_, parent)| **parent == part);
            let children = children.map(|(child, _)| *child).filter(is_done);
            self.unsent.extend(children.map(|child| (key, child)));
        }
        if held.parts.is_empty() && held.stage == Stage::Running {
            self.forget_and_ack(key, Ack::Done);
        }
    }

    /// Nobody listens to the client.
    pub(in super::super) fn unheard(&mut self, number: u64, now: Instant) {
        let Some((client, asked, _)) = self.questions.remove(&number) else {
            return;
        };
        self.absent(client, now);
        match asked {
            Asked::Leave(keys) => {
                let gone = self.is_gone(client);
                for key in keys {
                    match gone {
                        true => self.forget_and_ack(key, Ack::Done),
                        false => self.hand_back(key, ABSENT_DELAY),
                    }
                }
            }
            // Said again after a while.
            asked => {
                self.questions.insert(number, (client, asked, now));
            }
        }
    }
}
