//! What agents say to a submitter.

use super::*;

impl Link {
    pub(super) async fn heard(&mut self, message: Message) {
        let now = Instant::now();
        let Some((said, behind)) = wire::decode::<ToSubmitter>(&message.payload) else {
            tracing::warn!(subject = %message.subject, "a message that makes no sense");
            return;
        };
        if let ToSubmitter::Ask { agent, .. }
        | ToSubmitter::Done { agent, .. }
        | ToSubmitter::Back { agent, .. } = &said
            && !names::is_token(agent)
        {
            tracing::warn!(agent, "an agent with an impossible name");
            return;
        }
        match said {
            ToSubmitter::Ask { agent, runs } => {
                let verdicts: Vec<_> = self.shared.with(|coordinator, after| {
                    let ask = |run| coordinator.ask(&agent, run, now, after);
                    runs.into_iter().map(ask).collect()
                });
                self.reply(message.reply, wire::encode(&verdicts, &[]))
                    .await;
            }
            ToSubmitter::Done { agent, outcomes } => {
                if self.outcomes(&agent, outcomes, behind, &message.reply, now) {
                    self.reply(message.reply, Bytes::new()).await;
                }
            }
            ToSubmitter::Back { agent, runs } => {
                self.shared.with(|coordinator, after| {
                    for run in runs {
                        coordinator.back(&agent, run, now, after);
                    }
                });
                self.reply(message.reply, Bytes::new()).await;
            }
            ToSubmitter::Fetch(fetch) => {
                let piece = self.shared.with(|coordinator, _| coordinator.piece(&fetch));
                self.reply(message.reply, piece.unwrap_or_default()).await;
            }
            ToSubmitter::Hello => self.reply(message.reply, Bytes::new()).await,
        }
    }

    /// Takes outcomes; whether they are heard: a large one is only when it has been fetched.
    pub(super) fn outcomes(
        &mut self,
        agent: &str,
        outcomes: Vec<Outcome>,
        mut behind: Bytes,
        reply: &Option<Subject>,
        now: Instant,
    ) -> bool {
        let mut heard = true;
        let mut small = Vec::with_capacity(outcomes.len());
        for Outcome { part, fate } in outcomes {
            if let Some(len) = stays(&fate) {
                heard &= self.is_heard(agent, part, fate, len, reply, now);
                continue;
            }
            let len = match &fate {
                Fate::Answer {
                    payload: Payload::Here(len),
                    ..
                } => *len as usize,
                _ => 0,
            };
            if len > behind.len() {
                tracing::warn!(agent, "an outcome without its bytes");
                break;
            }
            small.push((part, fate, behind.split_to(len)));
        }
        self.shared.with(|coordinator, after| {
            for (part, fate, payload) in small {
                coordinator.done(agent, part, fate, &payload, now, after);
            }
        });
        heard
    }

    /// Begins to fetch a large outcome; whether there is nothing to fetch.
    pub(super) fn is_heard(
        &mut self,
        agent: &str,
        part: Part,
        fate: Fate,
        len: u64,
        reply: &Option<Subject>,
        now: Instant,
    ) -> bool {
        if !self
            .shared
            .with(|coordinator, _| coordinator.awaits(agent, part, now))
        {
            return true;
        }
        if self.fetching.insert(part, reply.clone()).is_some() {
            return false;
        }
        let (client, me) = (self.client.clone(), self.me.clone());
        let (subject, agent) = (self.names.to_agent(agent), agent.to_owned());
        let done = self.fetched.0.clone();
        tokio::spawn(async move {
            let piece = fetch::piece(&client);
            let message = |fetch: Fetch| {
                let client = me.clone();
                wire::encode(&ToAgent::Fetch { client, fetch }, &[])
            };
            let payload = fetch::fetch(client, subject, part, len, piece, message).await;
            let _ = done.send(Fetched {
                agent,
                part,
                fate,
                payload,
            });
        });
        false
    }

    pub(super) async fn was_fetched(&mut self, fetched: Fetched) {
        let Fetched {
            agent,
            part,
            fate,
            payload,
        } = fetched;
        let reply = self.fetching.remove(&part).flatten();
        // Else it is sent again, or its agent is gone.
        if let Some(payload) = payload {
            let now = Instant::now();
            self.shared.with(|coordinator, after| {
                coordinator.done(&agent, part, fate, &payload, now, after)
            });
            self.reply(reply, Bytes::new()).await;
        }
    }
}
