//! The list as a page of the documentation.

use std::fmt::{self, Write};

use super::{Statement, Subject, Verdict, statements};
use crate::error::backend::Backend;

const BACKENDS: [Backend; 4] = [
    Backend::Inline,
    Backend::Threads,
    Backend::Processes,
    Backend::Cluster,
];

const HEAD: &str = "\
# Conformance

What an executor must survive, and where this one was asked. The list was distilled from the test
suites of other executors (CPython's `concurrent.futures` and `multiprocessing`, loky, joblib,
pebble, mpire, mpi4py, Dask, R's future, mirai and crew, Elixir's tasks). Where they differ from
what this project promises, the sentences here say what this project does.

This page is printed by `cargo run -p pool-tests --bin conformance`, from the list in
`pool-core/src/conformance/list.rs`. Each test runs alone in a process of its own; the tests are
named after the statements, as in `cargo test -p pool-tests conformance::sub_1`. The author of
another backend runs the same tests by `pool_core::conformance`, with the Cargo feature
`conformance`.

On the cluster backend each pool has an agent of its own, beside it in the program; those tests take
a nats-server, and the Cargo feature `cluster` of `pool-tests`.
";

/// The page `docs/conformance.md`: every statement with the backends on which it is tested, or why
/// it is not.
#[must_use]
pub fn table() -> String {
    let mut page = String::new();
    write_page(&mut page).expect("a string takes all that is written");
    page
}

fn write_page(out: &mut String) -> fmt::Result {
    let subjects = BACKENDS.map(|backend| Subject::of(backend).with_everything_around_it());
    out.push_str(HEAD);
    write_counts(out, &subjects)?;
    let mut topic = "";
    for statement in statements() {
        if statement.topic != topic {
            topic = statement.topic;
            writeln!(out, "\n## {topic}\n")?;
            let mut of_topic = statements().iter().filter(|of| of.topic == topic);
            if of_topic.any(|of| matches!(of.verdict, Verdict::Tested { .. })) {
                let file = format!("pool-core/src/conformance/{}.rs", statement.part);
                writeln!(out, "[`{file}`](../{file})\n")?;
            }
            out.push_str("| id | statement | tested on | why not elsewhere |\n");
            out.push_str("|---|---|---|---|\n");
        }
        write_row(out, statement, &subjects)?;
    }
    Ok(())
}

fn write_counts(out: &mut String, subjects: &[Subject]) -> fmt::Result {
    let count = |is: &dyn Fn(&Statement) -> bool| {
        let all = statements().iter();
        all.filter(|statement| is(statement)).count()
    };
    let tested = |of: &Statement| matches!(of.verdict, Verdict::Tested { .. });
    let later = |of: &Statement| matches!(of.verdict, Verdict::Later(_));
    let never = |of: &Statement| matches!(of.verdict, Verdict::Never(_));
    out.push_str("\n| | statements |\n|---|---|\n");
    for subject in subjects {
        let count = count(&|of| of.excuse(subject).is_none());
        writeln!(out, "| tested on {} | {count} |", subject.name())?;
    }
    writeln!(out, "| tested on some backend | {} |", count(&tested))?;
    writeln!(out, "| not yet | {} |", count(&later))?;
    writeln!(out, "| do not apply | {} |", count(&never))?;
    writeln!(out, "| all | {} |", statements().len())
}

fn write_row(out: &mut String, statement: &Statement, subjects: &[Subject]) -> fmt::Result {
    let Statement { id, says, .. } = statement;
    let (on, why) = match statement.verdict {
        Verdict::Later(reason) => ("not yet".to_owned(), reason.to_owned()),
        Verdict::Never(reason) => ("does not apply".to_owned(), reason.to_owned()),
        Verdict::Tested { .. } => {
            let mut on = Vec::new();
            let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
            for subject in subjects {
                match statement.excuse(subject) {
                    None => on.push(subject.name()),
                    Some(why) => match reasons.iter_mut().find(|(reason, _)| *reason == why) {
                        Some((_, names)) => names.push(subject.name()),
                        None => reasons.push((why, vec![subject.name()])),
                    },
                }
            }
            let why = |(why, names): &(&str, Vec<&str>)| format!("{}: {why}", names.join(", "));
            let reasons: Vec<_> = reasons.iter().map(why).collect();
            (on.join(", "), reasons.join("; "))
        }
    };
    writeln!(out, "| {id} | {says} | {on} | {why} |")
}
