//! The load: clients that ask a server for pictures as fast as it answers, and one that pings it
//! meanwhile.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pool_examples::say;
use ureq::Agent;

/// What is asked for, and by how many clients at once.
const LOADS: &[(&str, u32)] = &[("-", 0), ("/julia", 8), ("/julia", 100), ("/direct", 8)];

/// An answer that takes longer is an error.
const LIMIT: Duration = Duration::from_secs(10);

/// Between two pings.
const PAUSE: Duration = Duration::from_millis(2);

/// Loads the server in several ways, each for so long, and prints how it did.
pub(crate) fn run(url: &str, time: Duration) -> anyhow::Result<()> {
    say("                      pictures    turned                        /ping");
    say("path     clients      per s     away   p50 ms   p99 ms   p50 ms   p99 ms");
    for &(path, clients) in LOADS {
        let end = Instant::now() + time;
        let (pictures, pings) = thread::scope(|scope| {
            let ping = scope.spawn(|| ask(|_| format!("{url}/ping"), PAUSE, end));
            let clients: Vec<_> = (0..clients)
                .map(|client| {
                    let address = move |n| format!("{url}{path}/{}", (n + 37 * client) % 360);
                    scope.spawn(move || ask(address, Duration::ZERO, end))
                })
                .collect();
            let mut pictures = Answers::default();
            for client in clients {
                pictures.add(client.join().expect("a client does not panic")?);
            }
            let pings = ping.join().expect("a client does not panic")?;
            anyhow::Ok((pictures, pings))
        })?;
        ensure!(pings.refused == 0, "a ping was turned away");
        say(format_args!(
            "{path:<8} {clients:>7} {:>10.0} {:>8} {} {}",
            pictures.times.len() as f64 / time.as_secs_f64(),
            pictures.refused,
            pictures.percentiles(),
            pings.percentiles(),
        ));
    }
    Ok(())
}

/// What one or several clients were answered.
#[derive(Default)]
struct Answers {
    /// How long those took that are what was asked for.
    times: Vec<Duration>,
    /// 503 or 504.
    refused: usize,
}

/// One client: asks for one address after the other until `end`.
fn ask(address: impl Fn(u32) -> String, pause: Duration, end: Instant) -> anyhow::Result<Answers> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(LIMIT))
        .build()
        .into();
    let mut answers = Answers::default();
    for n in 0.. {
        let begin = Instant::now();
        if begin >= end {
            break;
        }
        let url = address(n);
        let status = agent
            .get(&url)
            .call()
            .and_then(|answer| {
                let status = answer.status().as_u16();
                answer.into_body().read_to_vec().map(|_| status)
            })
            .with_context(|| format!("cannot get {url}"))?;
        match status {
            200 => answers.times.push(begin.elapsed()),
            503 | 504 => answers.refused += 1,
            _ => anyhow::bail!("{url} answers with status {status}"),
        }
        thread::sleep(pause);
    }
    Ok(answers)
}

impl Answers {
    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.refused += other.refused;
    }

    /// The middle and the 99th of 100, as two columns.
    fn percentiles(&self) -> String {
        let mut times = self.times.clone();
        times.sort_unstable();
        [50, 99]
            .map(|percent| {
                let at = times.len() * percent / 100;
                match times.get(at) {
                    Some(time) => format!("{:>8.2}", time.as_secs_f64() * 1e3),
                    None => format!("{:>8}", "-"),
                }
            })
            .join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_clients() {
        let one = |ms: std::ops::Range<u64>| Answers {
            times: ms.rev().map(Duration::from_millis).collect(),
            refused: 1,
        };
        let mut both = one(50..100);
        both.add(one(0..50));
        assert_eq!(both.refused, 2);
        assert_eq!(both.percentiles(), "   50.00    99.00");
        assert_eq!(Answers::default().percentiles(), "       -        -");
    }
}
