//! Where there is no terminal: a line for each tenth.

use super::ProgressState;
use super::watch::Show;
use crate::sync::stderr;

/// Writes lines to standard error.
pub(super) fn show() -> Show {
    let mut steps = Steps::default();
    Box::new(move |state| {
        if steps.is_due(state) {
            // As one piece, and the stream may be closed.
            let _ = stderr::write(format!("{state}\n").as_bytes());
        }
    })
}

/// Which step has been said. A step that is passed before it is looked at is not said: the next
/// line is about the latest one.
#[derive(Debug, Default)]
struct Steps {
    said: u64,
}

impl Steps {
    /// Whether this state is worth a line. The last one is: that is the line that says 100 %.
    fn is_due(&mut self, state: &ProgressState) -> bool {
        let reached = match state.percent() {
            Some(100) => self.said,
            Some(percent) => u64::from(percent / 10),
            None => step_without_end(state.done),
        };
        let is_new = reached > self.said;
        self.said = self.said.max(reached);
        is_new || state.is_over()
    }
}

/// Without a total: 10, 20, 50, 100, 200, 500, …, so that a log stays short however long it takes.
fn step_without_end(done: u64) -> u64 {
    let Some(power) = done.checked_ilog10().filter(|power| *power > 0) else {
        return 0;
    };
    let within = match done / 10_u64.pow(power) {
        1 => 1,
        2..5 => 2,
        _ => 5,
    };
    within * 10_u64.pow(power)
}

#[cfg(test)]
mod tests {
    use super::super::ProgressStage;
    use super::super::state::tests::state;
    use super::*;

    /// What is said of a map of these looks.
    fn said(total: Option<u64>, looks: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut state = state();
        state.total = total;
        let mut steps = Steps::default();
        let mut said = Vec::new();
        for done in looks {
            state.done = done;
            if steps.is_due(&state) {
                said.push(done);
            }
        }
        state.stage = ProgressStage::Finished;
        assert!(steps.is_due(&state));
        said
    }

    #[test]
    fn each_tenth_is_said_once_and_the_last_at_the_end() {
        let tenths: Vec<_> = (1..10).map(|tenth| tenth * 100).collect();
        assert_eq!(said(Some(1_000), 0..=1_000), tenths);
        // The end may be long in coming.
        assert_eq!(said(Some(1_000), [999, 1_000, 1_000]), [999]);
        assert_eq!(said(Some(7), 0..=7), [1, 2, 3, 4, 5, 6]);
        assert_eq!(said(Some(1_000), [500, 1_000]), [500]);
        assert_eq!(said(Some(3), 0..=3), [1, 2]);
        assert_eq!(said(Some(0), [0]), [0_u64; 0]);
    }

    #[test]
    fn of_a_jump_the_latest_is_said() {
        assert_eq!(said(Some(1_000), [0, 99, 555, 556, 599, 601]), [555, 601]);
    }

    #[test]
    fn without_a_total_steps_grow() {
        let expected = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
        assert_eq!(said(None, 0..15_000), expected);
        assert_eq!(said(None, [7, 4_321, 4_322, 987_654]), [4_321, 987_654]);
        assert_eq!(step_without_end(u64::MAX), 10_u64.pow(19));
    }
}
