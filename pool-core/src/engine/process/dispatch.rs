//! Which lane gets a task: functions of what is known, without I/O.

/// What a choice needs to know of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Tasks that were given to the worker and not collected yet.
    pub(super) ahead: usize,
    /// How many it may have now.
    pub(super) depth: usize,
    /// Whether its worker sleeps, so that a task would cost a wake-up.
    pub(super) asleep: bool,
}

impl Load {
    fn has_room(self) -> bool {
        self.ahead < self.depth
    }
}

/// The lane for one task; `loads` gives `None` for a worker that does not serve.
///
/// An empty lane comes first, and among those the one used last, since its worker is still awake:
/// taking lanes in turn would pay for a wake-up each time. Then an empty one whose worker is
/// awake, then any empty one, then the shortest queue with room.
pub(super) fn choose(
    workers: usize,
    last: usize,
    loads: impl Fn(usize) -> Option<Load>,
) -> Option<usize> {
    let mut best: Option<((bool, bool, usize), usize)> = None;
    // From the last one on, so that it wins a tie.
    for index in (last..workers).chain(0..last) {
        let Some(load) = loads(index).filter(|load| load.has_room()) else {
            continue;
        };
        if load.ahead == 0 && !load.asleep {
            return Some(index);
        }
        let cost = (load.ahead > 0, load.asleep && load.ahead == 0, load.ahead);
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, index));
        }
    }
    best.map(|(_, index)| index)
}

/// How many tasks each lane may have when `total` wait or run on `lanes` lanes: nobody hoards
/// what others could run.
pub(super) fn fair_share(total: usize, lanes: usize) -> usize {
    total.div_ceil(lanes.max(1)).max(1)
}

/// The depth of a lane that was found empty although there was a backlog.
pub(super) fn deeper(depth: usize) -> usize {
    (depth * 2).min(super::lane::SLOTS)
}

/// Every lane begins with one task running and one ahead.
pub(super) const FIRST_DEPTH: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn load(ahead: usize, depth: usize, asleep: bool) -> Option<Load> {
        Some(Load {
            ahead,
            depth,
            asleep,
        })
    }

    fn choose_of(last: usize, loads: &[Option<Load>]) -> Option<usize> {
        choose(loads.len(), last, |i| loads[i])
    }

    #[test]
    fn the_empty_lane_used_last_is_taken_while_its_worker_is_awake() {
        let empty = load(0, 2, false);
        assert_eq!(choose_of(1, &[empty, empty, empty]), Some(1));
        assert_eq!(choose_of(2, &[empty, empty, empty]), Some(2));
        assert_eq!(choose_of(1, &[empty, load(0, 2, true), empty]), Some(2));
    }

    #[test]
    fn a_sleeper_is_woken_before_a_task_waits_behind_another() {
        assert_eq!(
            choose_of(0, &[load(1, 8, false), load(0, 8, true)]),
            Some(1)
        );
    }

    #[test]
    fn the_shortest_queue_with_room_comes_last() {
        let loads = [load(3, 8, false), load(1, 8, false), load(2, 8, false)];
        assert_eq!(choose_of(0, &loads), Some(1));
        assert_eq!(
            choose_of(0, &[load(2, 2, false), load(3, 4, false)]),
            Some(1)
        );
        assert_eq!(choose_of(0, &[load(2, 2, false), load(2, 2, true)]), None);
    }

    #[test]
    fn a_worker_that_does_not_serve_gets_nothing() {
        assert_eq!(choose_of(0, &[None, None]), None);
        assert_eq!(choose_of(0, &[None, load(1, 2, false)]), Some(1));
    }

    #[test]
    fn shares_are_fair_and_never_zero() {
        assert_eq!(fair_share(0, 4), 1);
        assert_eq!(fair_share(1, 4), 1);
        assert_eq!(fair_share(5, 4), 2);
        assert_eq!(fair_share(400, 4), 100);
        assert_eq!(fair_share(3, 0), 3);
    }
}
