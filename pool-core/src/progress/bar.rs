//! The bars, drawn with `indicatif`: all of them below each other at the end of the terminal.
//!
//! The contents of a line are decided in [`layout`](super::layout). The line that stays of a map that is
//! over is written like a log line, above the bars of the others.

use std::cell::Cell;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use console::measure_text_width;
use indicatif::{
    MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState as BarState, ProgressStyle,
    TermLike,
};

use super::ProgressState;
use super::layout::{self, Row};
use super::screen::RawTerm;
use super::watch::{Show, is_home, lock, off_panic};
use crate::sync::local::{self, Local};
use crate::sync::screen::{Screen, use_screen};

/// How often the terminal is written to, however many bars there are.
const DRAWS_PER_SECOND: u8 = 20;

static TERMINAL: Mutex<Option<Terminal>> = Mutex::new(None);

thread_local! {
    /// Whether this thread has the terminal: a panic meanwhile must not want it.
    static DRAWS: Cell<bool> = const { Cell::new(false) };
}

/// A bar, where standard error is a terminal that can have one.
pub(super) fn show() -> Option<Show> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    with(|terminal| {
        if terminal.is_none() {
            *terminal = Terminal::stderr();
        }
        terminal.is_some()
    })
    .then(|| {
        use_screen(&Stderr);
        let id = NEXT.fetch_add(1, Relaxed);
        Box::new(move |state: &ProgressState| with_bars(|terminal| terminal.show(id, state))) as _
    })
}

fn with<T>(code: impl FnOnce(&mut Option<Terminal>) -> T) -> T {
    /// Also after a panic.
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            DRAWS.store(false);
        }
    }
    let mut terminal = lock(&TERMINAL);
    DRAWS.store(true);
    let _done = Done;
    code(&mut terminal)
}

fn with_bars(code: impl FnOnce(&mut Terminal)) {
    with(|terminal| terminal.as_mut().map(code));
}

/// Whether this thread may want the terminal. In a forked process nobody gives it up.
fn is_free() -> bool {
    !local::read(&DRAWS) && is_home()
}

struct Stderr;

impl Screen for Stderr {
    fn hide(&self) {
        if is_free() {
            with_bars(Terminal::hide);
        }
    }

    fn show(&self) {
        if is_free() {
            with_bars(Terminal::unhide);
        }
    }
}

/// The end of a terminal.
struct Terminal {
    multi: MultiProgress,
    out: Box<dyn TermLike>,
    bars: Vec<Bar>,
    /// Of maps that ended while the bars were hidden.
    lasts: Vec<ProgressState>,
    /// By how many.
    hidden: usize,
}

struct Bar {
    id: u64,
    state: ProgressState,
    bar: ProgressBar,
    kind: Kind,
    row: Arc<Mutex<Row>>,
}

/// What a line consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bar,
    Spinner,
    Text,
}

impl Terminal {
    /// `None`: it is no terminal, or one that can only write.
    fn stderr() -> Option<Self> {
        let (out, drawn) = (RawTerm::stderr()?, RawTerm::stderr()?);
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(drawn), DRAWS_PER_SECOND);
        Some(Self::new(target, Box::new(out)))
    }

    fn new(target: ProgressDrawTarget, out: Box<dyn TermLike>) -> Self {
        Self {
            multi: MultiProgress::with_draw_target(target),
            out,
            bars: Vec::new(),
            lasts: Vec::new(),
            hidden: 0,
        }
    }

    fn show(&mut self, id: u64, state: &ProgressState) {
        let at = self.bars.iter().position(|bar| bar.id == id);
        match (at, state.is_over()) {
            (Some(at), false) => self.bars[at].state = state.clone(),
            (None, false) => self.bars.push(Bar::new(id, state, &self.multi)),
            (at, true) => {
                if let Some(at) = at {
                    self.multi.remove(&self.bars.remove(at).bar);
                }
                self.lasts.push(state.clone());
            }
        }
        if self.hidden > 0 {
            return;
        }
        if state.is_over() {
            self.draw_all();
        } else {
            self.lay_out();
            if let Some(bar) = self.bars.iter().find(|bar| bar.id == id) {
                bar.draw();
            }
        }
    }

    fn hide(&mut self) {
        if self.hidden == 0 && !self.bars.is_empty() {
            let multi = &self.multi;
            // The terminal may be gone, here and below.
            off_panic(|| drop(multi.clear()));
        }
        self.hidden += 1;
    }

    fn unhide(&mut self) {
        self.hidden -= 1;
        if self.hidden == 0 {
            off_panic(|| self.draw_all());
        }
    }

    fn draw_all(&mut self) {
        if !self.lasts.is_empty() {
            let _ = self.multi.clear();
            let width = self.width();
            for state in self.lasts.drain(..) {
                let line = layout::last(&state, width, measure_text_width);
                let _ = self.out.write_line(&line);
            }
            let _ = self.out.flush();
        }
        self.lay_out();
        // One draws them all; what the others have to say that is new they say at the next look.
        if let Some(bar) = self.bars.last() {
            bar.bar.force_draw();
        }
    }

    /// Sets the line of each bar.
    fn lay_out(&mut self) {
        let states: Vec<_> = self.bars.iter().map(|bar| &bar.state).collect();
        let rows = layout::rows(&states, self.width(), measure_text_width);
        for (bar, row) in self.bars.iter_mut().zip(rows) {
            bar.take(row);
        }
    }

    fn width(&self) -> usize {
        self.out.width().into()
    }
}

impl Bar {
    fn new(id: u64, state: &ProgressState, multi: &MultiProgress) -> Self {
        let hidden = ProgressDrawTarget::hidden();
        let row = Arc::default();
        let bar = ProgressBar::with_draw_target(None, hidden);
        bar.set_style(Kind::Text.style(&row));
        Self {
            id,
            state: state.clone(),
            bar: multi.add(bar),
            kind: Kind::Text,
            row,
        }
    }

    fn take(&mut self, row: Row) {
        let kind = match self.state.total {
            _ if row.bar == 0 => Kind::Text,
            Some(_) => Kind::Bar,
            None => Kind::Spinner,
        };
        *lock(&self.row) = row;
        if self.kind != kind {
            self.kind = kind;
            self.bar.set_style(kind.style(&self.row));
        }
    }

    fn draw(&self) {
        self.bar.update(|bar| {
            bar.set_pos(self.state.done);
            if let Some(total) = self.state.total {
                bar.set_len(total);
            }
        });
    }
}

impl Kind {
    /// Of letters that are one column wide in every terminal.
    fn style(self, row: &Arc<Mutex<Row>>) -> ProgressStyle {
        let template = match self {
            Self::Bar => "{title}[{wide_bar}] {numbers}",
            Self::Spinner => "{title}{spinner}{gap} {numbers}",
            Self::Text => "{title}{numbers}",
        };
        let text = |text: fn(&Row) -> String| {
            let row = Arc::clone(row);
            move |_: &BarState, out: &mut dyn Write| {
                // To a string, which takes everything.
                let _ = out.write_str(&text(&lock(&row)));
            }
        };
        ProgressStyle::with_template(template)
            .expect("the templates are fixed, and a test draws each")
            .progress_chars("=> ")
            .tick_chars("-\\|/-")
            .with_key("title", text(|row| row.title.clone()))
            .with_key("numbers", text(|row| row.numbers.clone()))
            // As wide as the bar of another with its brackets.
            .with_key("gap", text(|row| " ".repeat(row.bar + 1)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use indicatif::InMemoryTerm;

    use super::super::ProgressStage;
    use super::super::state::tests::state;
    use super::*;

    fn terminal(width: u16) -> (Terminal, InMemoryTerm) {
        let memory = InMemoryTerm::new(12, width);
        let target = ProgressDrawTarget::term_like(Box::new(memory.clone()));
        (Terminal::new(target, Box::new(memory.clone())), memory)
    }

    fn of(title: &str, done: u64, total: Option<u64>) -> ProgressState {
        let mut state = state();
        state.title = title.into();
        (state.done, state.total) = (done, total);
        state
    }

    fn over(mut state: ProgressState) -> ProgressState {
        state.stage = ProgressStage::Finished;
        state.elapsed = Duration::from_secs(3);
        state
    }

    #[test]
    fn bars_come_and_go() {
        for width in [10, 40, 80, 200] {
            let (mut terminal, memory) = terminal(width);
            let lines = || -> Vec<_> { memory.contents().lines().map(str::to_owned).collect() };
            terminal.show(1, &of("crawl", 300, Some(1_000)));
            terminal.show(2, &of("parse", 10, None));
            terminal.show(3, &of("store", 0, Some(1_000)));
            assert_eq!(lines().len(), 3, "{:?}", lines());
            assert!(
                lines()[0].starts_with("crawl ") || width == 10,
                "{:?}",
                lines()
            );
            terminal.show(1, &of("crawl", 500, Some(1_000)));
            assert!(lines()[0].contains("50") || width == 10, "{:?}", lines());
            // What is over stands above, and stays.
            terminal.show(2, &over(of("parse", 20, None)));
            assert_eq!(lines().len(), 3, "{:?}", lines());
            assert!(
                width == 10 || lines()[0].starts_with("parse: 20"),
                "{:?}",
                lines()
            );
            terminal.show(1, &over(of("crawl", 1_000, Some(1_000))));
            terminal.show(3, &over(of("store", 1_000, Some(1_000))));
            let lines = lines();
            if width > 10 {
                assert_eq!(lines.len(), 3, "{lines:?}");
                assert!(lines[1].starts_with("crawl: 100 %"), "{lines:?}");
                assert!(lines[2].starts_with("store: 100 %"), "{lines:?}");
            }
            assert!(terminal.bars.is_empty() && terminal.lasts.is_empty());
        }
    }

    #[test]
    fn a_bar_fills_the_width() {
        let (mut terminal, memory) = terminal(60);
        terminal.show(1, &of("crawl", 500, Some(1_000)));
        terminal.show(2, &of("parse", 500, None));
        assert_eq!(
            memory.contents(),
            "crawl [======>      ] 50 % 500/1,000 1,500/s 00:05 2 running\n\
             parse \\                          500 1,500/s 00:02 2 running"
        );
    }

    #[test]
    fn log_lines_stand_above() {
        let (mut terminal, memory) = terminal(40);
        terminal.show(1, &of("crawl", 500, Some(1_000)));
        terminal.hide();
        assert_eq!(memory.contents(), "");
        terminal.hide();
        memory.write_line("a line").unwrap();
        // Nothing is drawn in between.
        terminal.show(1, &of("crawl", 600, Some(1_000)));
        terminal.show(2, &over(of("parse", 20, None)));
        terminal.unhide();
        assert_eq!(memory.contents(), "a line");
        terminal.unhide();
        let contents = memory.contents();
        let lines: Vec<_> = contents.lines().collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0], "a line");
        assert!(lines[1].starts_with("parse: 20"), "{lines:?}");
        assert!(
            lines[2].starts_with("crawl [") && lines[2].contains("600"),
            "{lines:?}"
        );
    }
}
