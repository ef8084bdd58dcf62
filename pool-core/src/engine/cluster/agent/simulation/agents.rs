//! The agents of a simulated world, and what the submitter hears of them.

use super::*;

impl World {
    pub(super) fn agent(&mut self, index: usize) {
        // What runs goes on, also where the agent is stopped.
        let now = self.now;
        if self.agents[index]
            .frozen_until
            .is_some_and(|until| until > now)
        {
            return;
        }
        self.agents[index].frozen_until = None;
        if self.is_dark() {
            self.run(index);
            return;
        }
        while self.agents[index]
            .inbox
            .front()
            .is_some_and(|message| message.0 <= now)
        {
            let (_, message) = self.agents[index].inbox.pop_front().unwrap();
            self.agent_hears(index, message);
        }
        self.run(index);
        for (client, number) in self.agents[index].table.tick(now) {
            assert_eq!(client, 0);
            self.say(index, ToSubmitter::Hello(number));
        }
        self.pull(index);
        while let Some((_, number, question)) = self.agents[index].table.next_question(now) {
            let message = match question {
                Question::Ask(runs) => ToSubmitter::Ask(number, runs),
                Question::Back(runs) => ToSubmitter::Back(number, runs),
                Question::Hello => ToSubmitter::Hello(number),
                Question::Done(parts) => ToSubmitter::Done(number, self.outcomes(index, &parts)),
            };
            self.say(index, message);
        }
        for ack in std::mem::take(&mut self.agents[index].table.acks) {
            if !self.is_lost() {
                self.ack(ack);
            }
        }
        for (number, _) in std::mem::take(&mut self.agents[index].table.stops) {
            if let Some((key, part, _)) = self.agents[index].running.remove(&number) {
                self.ends(index, key, part, Err(TaskErrorKind::Cancelled));
            }
        }
        while self.agents[index]
            .outbox
            .front()
            .is_some_and(|message| message.0 <= now)
        {
            let (_, message) = self.agents[index].outbox.pop_front().unwrap();
            self.submitter_hears(index, message);
        }
    }

    pub(super) fn say(&mut self, index: usize, message: ToSubmitter) {
        if self.is_lost() {
            return;
        }
        let arrival = self.arrival(self.agents[index].outbox.back().map(|last| last.0));
        self.agents[index].outbox.push_back((arrival, message));
    }

    pub(super) fn ack(&mut self, ack: Ack) {
        let (to, delay) = match ack {
            Ack::Done(to) => (to, None),
            Ack::Renew(to) => (to, Some(LEASE)),
            Ack::Back(to, delay) => (to, Some(delay)),
        };
        let seq: u64 = to.parse().unwrap();
        match delay {
            None => self.queue.retain(|queued| queued.seq != seq),
            Some(delay) => {
                if let Some(queued) = self.queue.iter_mut().find(|queued| queued.seq == seq) {
                    queued.not_before = self.now + delay;
                }
            }
        }
    }

    pub(super) fn pull(&mut self, index: usize) {
        let (wanted, _) = self.agents[index].table.wants();
        for _ in 0..wanted {
            let now = self.now;
            let Some(queued) = self
                .queue
                .iter_mut()
                .find(|queued| queued.not_before <= now)
            else {
                return;
            };
            queued.not_before = now + LEASE;
            let (seq, order, body) = (queued.seq, queued.order, queued.body.clone());
            let ack = seq.to_string().into();
            self.agents[index]
                .table
                .came("client", order, body, seq, ack, now);
        }
    }

    pub(super) fn agent_hears(&mut self, index: usize, message: ToAgent) {
        let now = self.now;
        let agent = &mut self.agents[index];
        match message {
            ToAgent::Heard(number) => agent.table.answered(number, now),
            ToAgent::Verdicts(number, verdicts) => {
                for key in agent.table.judged(number, &verdicts, now) {
                    self.starts(index, key);
                }
            }
            ToAgent::Stop(part, running) => {
                let client = agent.table.heard("client", now);
                agent.table.stop(client, &[part], running);
            }
            ToAgent::Roll(number, wanted, unwanted) => {
                let client = agent.table.heard("client", now);
                let unknown = agent.table.roll(client, &wanted, &unwanted, true, now);
                self.say(index, ToSubmitter::Roll(number, unknown));
            }
        }
    }

    pub(super) fn starts(&mut self, index: usize, key: Key) {
        let held = self.agents[index].table.get(key).unwrap();
        if held.is_stopped {
            return self.ends(index, key, 0, Err(TaskErrorKind::Cancelled));
        }
        let (order, task) = (held.order, first_task(&held.order, &held.body));
        let starts = self.starts.entry(key.1).or_default();
        *starts += 1;
        assert_eq!(*starts, 1, "{:?} of task {task} has started twice", key.1);
        assert!(!self.never.contains(&task), "task {task} was cancelled");
        let takes = STEP * self.chance.below(100) as u32;
        let agent = &mut self.agents[index];
        agent.next_number += 1;
        let number = agent.next_number;
        agent.table.started(key, number, self.now);
        agent.running.insert(number, (key, 0, self.now + takes));
        let tasks = order.chunk.max(1);
        self.parts.insert(key.1.whole(), (task, tasks));
    }

    pub(super) fn run(&mut self, index: usize) {
        let now = self.now;
        let done: Vec<usize> = self.agents[index]
            .running
            .iter()
            .filter(|(_, (_, _, until))| *until <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in done {
            if let Some((key, part, _)) = self.agents[index].running.remove(&number) {
                self.comes_to_something(index, key, part);
            }
        }
    }

    /// A part has run: all of it, or some of its tasks, and the others go on in parts of their own.
    pub(super) fn comes_to_something(&mut self, index: usize, key: Key, part: u32) {
        let here = Part { run: key.1, part };
        let (first, tasks) = self.parts[&here];
        let held = self.agents[index].table.get(key);
        if held.is_none_or(|held| held.order.chunk == 0) {
            return self.ends(index, key, part, Ok(first));
        }
        let ran = 1 + self.chance.below(tasks.into()) as u32;
        let mut others = Vec::new();
        let mut next = first + ran;
        while next < first + tasks {
            let some = 1 + self.chance.below((first + tasks - next).into()) as u32;
            let takes = STEP * self.chance.below(20) as u32;
            let agent = &mut self.agents[index];
            agent.next_number += 1;
            let number = agent.next_number;
            let Some(child) = agent.table.divided(key, part, number) else {
                return;
            };
            agent.running.insert(number, (key, child, self.now + takes));
            let there = Part {
                run: key.1,
                part: child,
            };
            self.parts.insert(there, (next, some));
            others.push((child, some));
            next += some;
        }
        let mut replies = Vec::new();
        for task in first..first + ran {
            let mut reply = vec![0; codec::REPLY_HEAD];
            reply.extend(codec::to_vec(&task).unwrap());
            codec::head_reply(Reply::Output, &mut reply);
            replies.extend(reply);
        }
        let fate = Fate::Answer {
            reply: Reply::Output as u32,
            worker: 1,
            payload: Payload::Here(replies.len() as u32),
            chunk: Some(Chunk {
                ran,
                lost: None,
                others,
                run_time: STEP,
            }),
        };
        let outcome = Outcome {
            fate,
            payload: replies.into(),
            // Now and then as if it took long to be fetched.
            is_large: self.chance.below(4) == 0,
        };
        self.agents[index].table.done(key, part, outcome, self.now);
    }

    pub(super) fn ends(
        &mut self,
        index: usize,
        key: Key,
        part: u32,
        result: Result<u32, TaskErrorKind>,
    ) {
        let (fate, payload) = match result {
            Ok(task) => {
                let payload = codec::to_vec(&task).unwrap();
                let fate = Fate::Answer {
                    reply: Reply::Output as u32,
                    worker: 1,
                    payload: Payload::Here(payload.len() as u32),
                    chunk: None,
                };
                (fate, payload.into())
            }
            Err(kind) => {
                let failure = Failure::of(&TaskError::new(kind, ""));
                (Fate::Failed(failure), Bytes::new())
            }
        };
        let outcome = Outcome {
            fate,
            payload,
            is_large: false,
        };
        self.agents[index].table.done(key, part, outcome, self.now);
    }

    pub(super) fn outcomes(&self, index: usize, parts: &[Part]) -> Vec<(Part, Fate, Bytes)> {
        let table = &self.agents[index].table;
        let outcome = |part: &Part| match table.get((0, part.run))?.parts.get(&part.part)? {
            PartState::Done(outcome) => {
                Some((*part, outcome.fate.clone(), outcome.payload.clone()))
            }
            PartState::Running(_) => None,
        };
        parts.iter().filter_map(outcome).collect()
    }

    pub(super) fn submitter_hears(&mut self, index: usize, message: ToSubmitter) {
        let name = self.agents[index].name.clone();
        match message {
            ToSubmitter::Ask(number, runs) => {
                let verdicts = self.with(|coordinator, now, after| {
                    let ask = |run| coordinator.ask(&name, run, now, after);
                    runs.into_iter().map(ask).collect()
                });
                self.tell(&name, ToAgent::Verdicts(number, verdicts));
            }
            ToSubmitter::Done(number, outcomes) => {
                self.with(|coordinator, now, after| {
                    for (part, fate, payload) in outcomes {
                        coordinator.done(&name, part, fate, &payload, now, after);
                    }
                });
                self.tell(&name, ToAgent::Heard(number));
            }
            ToSubmitter::Back(number, runs) => {
                self.with(|coordinator, now, after| {
                    for run in runs {
                        coordinator.back(&name, run, now, after);
                    }
                });
                self.tell(&name, ToAgent::Heard(number));
            }
            ToSubmitter::Hello(number) => self.tell(&name, ToAgent::Heard(number)),
            ToSubmitter::Roll(number, unknown) => {
                self.with(|coordinator, now, after| {
                    coordinator.roll_answered(number, &unknown, now, after)
                });
            }
        }
    }
}
