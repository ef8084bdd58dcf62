//! The goals, in the order of the issue.

use super::Check::{self, AtLeast, AtMost, Beyond, Steady, Within};
use super::{Goal, Value};
use crate::peers::python;
use crate::subject::{Limit, Subject};

const TWO: Subject = Subject::Processes(2);
const THREADS: Subject = Subject::Threads(2);

const fn goal(number: u32, text: &'static str, check: Check) -> Goal {
    Goal {
        number,
        text,
        check,
    }
}

const fn limit(row: &'static str, limit: Limit) -> Value {
    (row, Subject::Limit(limit))
}

const MICRO: f64 = 1e-6;
const MILLI: f64 = 1e-3;
const MIB: f64 = (1 << 20) as f64;

/// In the order of the issue. Where it says no number, the text says that the number is ours.
pub(crate) static ALL: &[Goal] = &[
    goal(
        1,
        "round trip p50, 1 worker: at most 2 × spinning",
        Within(
            ("trip.p50", Subject::Processes(1)),
            2.0,
            limit("trip.p50", Limit::Spin),
        ),
    ),
    goal(
        1,
        "round trip p50, 2 workers: at most 2 × spinning",
        Within(("trip.p50", TWO), 2.0, limit("trip.p50", Limit::Spin)),
    ),
    goal(
        1,
        "round trip p50, 4 workers: at most 2 × spinning",
        Within(
            ("trip.p50", Subject::Processes(4)),
            2.0,
            limit("trip.p50", Limit::Spin),
        ),
    ),
    goal(
        1,
        "round trip p50, 2 workers: procspawn's at least 150 ×",
        Beyond(("trip.p50", Subject::Procspawn), 150.0, ("trip.p50", TWO)),
    ),
    goal(
        1,
        "round trip p99, 2 workers (on quiet cores)",
        AtMost("trip.p99", TWO, 5.0 * MICRO),
    ),
    goal(
        1,
        "cold round trip: at most 1.5 × a bare futex's",
        Within(("trip.cold", TWO), 1.5, limit("trip.p50", Limit::Futex)),
    ),
    goal(
        1,
        "cold round trip: at most 1.5 × a bare futex's, as cold",
        Within(("trip.cold", TWO), 1.5, limit("trip.cold", Limit::Futex)),
    ),
    goal(
        2,
        "tiny tasks one by one, 100,000 in flight",
        AtLeast("submit.100k", TWO, 5e6),
    ),
    goal(2, "the same: aim", AtLeast("submit.100k", TWO, 8e6)),
    goal(
        2,
        "tiny tasks one by one, 1,000,000 in flight",
        AtLeast("submit.1m", TWO, 5e6),
    ),
    goal(
        2,
        "2,000 in flight: at least 300 × procspawn, which takes no more",
        Beyond(("submit.2k", TWO), 300.0, ("submit.2k", Subject::Procspawn)),
    ),
    goal(
        2,
        "from 4 threads at once no slower than from one",
        Beyond(("submit.callers.4", TWO), 1.0, ("submit.callers.1", TWO)),
    ),
    goal(
        3,
        "map of tiny items: at least 8 × mp.Pool's best chunk size",
        Beyond(("map.tiny", TWO), 8.0, ("map.tiny", python::MP_POOL)),
    ),
    goal(3, "map of tiny items: aim", AtLeast("map.tiny", TWO, 60e6)),
    goal(
        3,
        "1 µs to 50 ms: workers busy (number ours)",
        AtLeast("map.shift.busy", TWO, 0.9),
    ),
    goal(
        3,
        "1 µs to 50 ms: longest hold, two items long (number ours)",
        AtMost("map.shift.held", TWO, 100.0 * MILLI),
    ),
    goal(
        4,
        "64 KiB echo: at least 4 × procspawn",
        Beyond(("echo.64k", TWO), 4.0, ("echo.64k", Subject::Procspawn)),
    ),
    goal(
        4,
        "256 MiB, second time: at most 3 × a warm memcpy",
        Within(("big.again", TWO), 3.0, limit("big.again", Limit::WarmCopy)),
    ),
    goal(
        4,
        "256 MiB, first time: at most 1.3 × a copy into untouched memory",
        Within(
            ("big.first", TWO),
            1.3,
            limit("big.first", Limit::UntouchedCopy),
        ),
    ),
    goal(
        5,
        "start, 2 workers: at most 2.5 × spawn-and-wait of `true`",
        Within(("start", TWO), 2.5, limit("start", Limit::True)),
    ),
    goal(
        5,
        "an idle pool uses no CPU: below 1 ms in 2 s (number ours)",
        AtMost("idle.cpu", TWO, MILLI),
    ),
    goal(
        5,
        "private memory of an idle worker",
        AtMost("idle.memory", TWO, 2.0 * MIB),
    ),
    goal(
        5,
        "memory after a burst goes back: at most 5 % stays (number ours)",
        Within(("burst.left", TWO), 0.05, ("burst.peak", TWO)),
    ),
    goal(
        6,
        "2,000 tasks of 1 ms: speed-up on two workers",
        AtLeast("scale", TWO, 1.95),
    ),
    goal(
        6,
        "2 s task among short ones: nobody is left behind (number ours)",
        AtMost("delay.overtaken", TWO, 5.0 * MILLI),
    ),
    goal(
        6,
        "2 s task among short ones: the rest as on one worker (number ours)",
        AtMost("delay.rest", TWO, 1.1),
    ),
    goal(
        7,
        "tiny tasks, 2, 4, 8 workers: the worst against the best",
        Steady("cores.tiny", OVERFULL, 0.9),
    ),
    goal(
        7,
        "20 µs tasks, 2, 4, 8 workers: the worst against the best",
        Steady("cores.20us", OVERFULL, 0.9),
    ),
    goal(
        8,
        "threads, 1,000,000 no-op tasks: at most half of rayon + oneshot",
        Within(
            ("submit.1m.cost", THREADS),
            0.5,
            ("submit.1m.cost", Subject::Rayon),
        ),
    ),
    goal(8, "the same: aim", AtMost("submit.1m.cost", THREADS, 80e-9)),
    goal(
        8,
        "a process task is not cheaper than a thread task",
        Within(("submit.1m.cost", THREADS), 1.0, ("submit.1m.cost", TWO)),
    ),
    goal(
        8,
        "fib by submit and join: at most 1.3 × rayon's join",
        Within(("fib", THREADS), 1.3, ("fib", Subject::Rayon)),
    ),
    goal(
        9,
        "threads, map of 1 µs tasks: at most 1.1 × par_iter",
        Within(
            ("map.work.1us", THREADS),
            1.1,
            ("map.work.1us", Subject::Rayon),
        ),
    ),
    goal(
        9,
        "threads, map of 100 ns tasks: at most 2 × par_iter",
        Within(
            ("map.work.100ns", THREADS),
            2.0,
            ("map.work.100ns", Subject::Rayon),
        ),
    ),
    goal(
        9,
        "threads, round trip p50: below rayon's",
        Within(("trip.p50", THREADS), 1.0, ("trip.p50", Subject::Rayon)),
    ),
];

const OVERFULL: &[Subject] = &[
    Subject::Processes(2),
    Subject::Processes(4),
    Subject::Processes(8),
];
