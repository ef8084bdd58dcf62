//! What an agent hears: messages of the queue, answers, and what submitters say.

use super::*;

impl Service {
    pub(super) async fn answered(&mut self, message: Message) {
        let now = Instant::now();
        let what = message.subject.strip_prefix(self.answers.as_str());
        let Some((kind, number)) = what
            .and_then(|what| what.strip_prefix('.'))
            .and_then(|what| what.split_at_checked(1))
        else {
            // A message of the queue comes under its own subject.
            return self.pulled(message, now).await;
        };
        let Ok(number) = number.parse::<u64>() else {
            return;
        };
        match kind {
            "m" => self.pull_ended(number, message.status, now),
            "q" if message.status == Some(StatusCode::NO_RESPONDERS) => {
                self.table.unheard(number, now);
            }
            "q" if message.payload.is_empty() => self.table.answered(number, now),
            "q" => {
                if let Some((verdicts, _)) = wire::decode::<Vec<Verdict>>(&message.payload) {
                    for key in self.table.judged(number, &verdicts, now) {
                        self.begin(key, now);
                    }
                }
            }
            _ => {}
        }
    }

    /// What the server says of a request for messages.
    pub(super) fn pull_ended(&mut self, number: u64, status: Option<StatusCode>, now: Instant) {
        let status = match status.map(u16::from) {
            Some(100) => Status::Heartbeat,
            Some(404 | 408) => Status::Over,
            _ => Status::Refused,
        };
        if status == Status::Refused {
            // The consumer may be gone.
            self.set_up(now);
        }
        self.pulls.status(number, status, now);
    }

    /// A message of the queue.
    pub(super) async fn pulled(&mut self, message: Message, now: Instant) {
        self.pulls.came(now);
        let Some(ack) = message.reply.filter(|reply| reply.starts_with("$JS.ACK.")) else {
            return;
        };
        let client = self.names.client_of(&message.subject).map(str::to_owned);
        // Who copies a message of the stream to us is not the consumer.
        let is_copy = message.headers.as_ref().is_some_and(is_copied);
        let order = wire::decode::<Order>(&message.payload);
        match (client, order, sequence_of(&ack)) {
            (Some(client), Some((order, body)), Some(seq)) if !is_copy => {
                self.table.came(&client, order, body, seq, ack, now);
            }
            _ => {
                tracing::warn!(subject = %message.subject, "a message that is no task");
                self.ack(Ack::Done(ack)).await;
            }
        }
    }

    pub(super) async fn heard(&mut self, message: Message) {
        let now = Instant::now();
        if message.headers.as_ref().is_some_and(is_copied) {
            return;
        }
        let Some((said, _)) = wire::decode::<ToAgent>(&message.payload) else {
            tracing::warn!(subject = %message.subject, "a message that makes no sense");
            return;
        };
        match said {
            ToAgent::Stop {
                client,
                parts,
                running,
            } => {
                let client = self.table.heard(&client, now);
                self.table.stop(client, &parts, running);
            }
            ToAgent::Roll {
                client,
                wanted,
                unwanted,
                is_whole,
            } => {
                let client = self.table.heard(&client, now);
                let unknown = self.table.roll(client, &wanted, &unwanted, is_whole, now);
                self.reply(message.reply, wire::encode(&unknown, &[])).await;
            }
            ToAgent::Fetch { client, fetch } => {
                let client = self.table.heard(&client, now);
                let held = self.table.get((client, fetch.part.run));
                let piece = match held.and_then(|held| held.parts.get(&fetch.part.part)) {
                    Some(PartState::Done(outcome)) => piece_of(&outcome.payload, &fetch),
                    _ => Bytes::new(),
                };
                self.reply(message.reply, piece).await;
            }
        }
    }

    pub(super) async fn present(&mut self, message: Message) {
        let present = Present {
            agent: self.name.clone(),
            abi: self.names.abi.clone(),
            seats: self.seats as u32,
            busy: self.table.busy() as u32,
            host: host(),
            pid: std::process::id(),
            drains: self.table.drains,
        };
        self.reply(message.reply, wire::encode(&present, &[])).await;
    }

    pub(super) async fn reply(&self, to: Option<Subject>, message: Bytes) {
        if let Some(to) = to {
            let _ = self.client.publish(to, message).await;
        }
    }
}
