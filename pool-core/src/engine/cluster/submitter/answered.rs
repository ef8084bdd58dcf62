//! What servers and agents answer to a submitter.

use super::*;

impl Link {
    pub(super) async fn answered(&mut self, message: Message) {
        let now = Instant::now();
        let nobody = message.status == Some(StatusCode::NO_RESPONDERS);
        let what = message.subject.strip_prefix(self.answers.as_str());
        let Some(what) = what.and_then(|what| what.strip_prefix('.')) else {
            return;
        };
        let Some((kind, number)) = what.split_at_checked(1) else {
            return;
        };
        match kind {
            "p" => {
                let run = number.split_once('-').and_then(|(job, run)| {
                    let (job, run) = (job.parse().ok()?, run.parse().ok()?);
                    Some(Run { job, run })
                });
                if let Some(run) = run {
                    self.published(run, &message.payload, nobody, now);
                }
            }
            "w" if nobody => self
                .shared
                .with(|coordinator, _| coordinator.nobody_is_present(now)),
            "w" => {
                if let Some((present, _)) = wire::decode::<Present>(&message.payload) {
                    self.shared
                        .with(|coordinator, _| coordinator.present(present, now));
                }
            }
            "r" => {
                let Ok(number) = number.parse() else {
                    return;
                };
                if nobody {
                    self.shared
                        .with(|coordinator, _| coordinator.roll_unheard(number, now));
                } else if let Some((unknown, _)) = wire::decode::<Vec<Part>>(&message.payload) {
                    self.shared.with(|coordinator, after| {
                        coordinator.roll_answered(number, &unknown, now, after)
                    });
                }
            }
            "i" => self.looked(&message.payload, nobody, now),
            "f" => {
                // Of a consumer that is not there, `looked` hears by its stream.
                if let Ok(Consumer { ack_floor }) = serde_json::from_slice(&message.payload) {
                    self.shared.with(|coordinator, _| {
                        coordinator.has_done_with(ack_floor.stream_seq, now)
                    });
                }
            }
            _ => {}
        }
    }

    /// What the server says of a message that was published.
    pub(super) fn published(&mut self, run: Run, payload: &Bytes, nobody: bool, now: Instant) {
        let ack = serde_json::from_slice::<Ack>(payload);
        match ack {
            // A refusal has a number too: 0.
            Ok(Ack {
                error: Some(error), ..
            }) => {
                if error.is_missing() {
                    self.set_up();
                } else {
                    self.warn_once(&format!("the queue takes nothing: {}", error.description));
                }
                self.shared
                    .with(|coordinator, _| coordinator.refused(run, now));
            }
            Ok(Ack { seq: Some(seq), .. }) => self
                .shared
                .with(|coordinator, _| coordinator.acked(run, seq)),
            _ if nobody => {
                self.set_up();
                self.shared
                    .with(|coordinator, _| coordinator.refused(run, now));
            }
            _ => {}
        }
    }

    /// What the server says of the queue.
    pub(super) fn looked(&mut self, payload: &Bytes, nobody: bool, now: Instant) {
        let Ok(info) = serde_json::from_slice::<Info>(payload) else {
            return;
        };
        let found = match (info.error, info.state) {
            (Some(error), _) if error.is_missing() => {
                self.set_up();
                0
            }
            (None, Some(state)) if !nobody => state.subjects.values().sum(),
            _ => return,
        };
        if self
            .shared
            .with(|coordinator, _| coordinator.looked(found, now))
        {
            self.look_at = self.look_at.min(now + LOOK_AGAIN);
        }
    }

    /// Makes the stream and the consumer again.
    pub(super) fn set_up(&mut self) {
        if std::mem::replace(&mut self.is_setting_up, true) {
            return;
        }
        let (client, nats, names) = (self.client.clone(), self.nats.clone(), self.names.clone());
        let done = self.set_ups.0.clone();
        tokio::spawn(async move {
            let result = connection::set_up(&client, &nats, &names).await;
            let _ = done.send(result);
        });
    }

    pub(super) fn was_set_up(&mut self, result: Result<(), Error>) {
        self.is_setting_up = false;
        if let Err(error) = result {
            self.warn_once(&error.to_string());
        }
    }
}

#[derive(Deserialize)]
struct Ack {
    error: Option<Refusal>,
    seq: Option<u64>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Refusal {
    /// Whether there is no such stream.
    fn is_missing(&self) -> bool {
        self.err_code == 10_059
    }
}

#[derive(Deserialize)]
struct Info {
    error: Option<Refusal>,
    state: Option<InfoState>,
}

#[derive(Deserialize)]
struct InfoState {
    #[serde(default)]
    subjects: HashMap<String, usize>,
}

#[derive(Deserialize)]
struct Consumer {
    ack_floor: Floor,
}

#[derive(Deserialize)]
struct Floor {
    stream_seq: u64,
}
