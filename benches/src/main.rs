//! What pool-core costs, beside its peers and the limits of the machine, measured in one run.
//!
//! `pool-benches peers` runs every row; see the README beside this crate. Each sample is taken in
//! a process of its own (this very program, started again as `sample …`), so that no contestant
//! inherits the heap, the threads or the descriptors of another, and one that hangs or crashes
//! costs its own cell of the table only.

mod args;
mod chart;
mod child;
#[cfg(feature = "cluster")]
mod cluster;
mod codec;
mod driver;
mod faults;
mod figures;
mod futures;
mod goals;
mod group;
mod groups;
mod limits;
mod looks;
mod machine;
mod macro_cost;
mod peers;
mod proc;
mod progress;
mod report;
mod stats;
mod subject;
mod tasks;

use std::process::ExitCode;

/// What goes wrong in a measurement; its text is what the table shows.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    // The doors of the two libraries whose workers are this program, started again.
    pool_core::init();
    procspawn::init();
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("faults") => faults::CHAPTER.run(),
        Some("futures") => futures::CHAPTER.run(),
        #[cfg(feature = "cluster")]
        Some("cluster") => cluster::run(),
        _ => args::Command::parse().and_then(run),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: args::Command) -> Result<(), Fault> {
    match command {
        args::Command::Help => {
            print!("{}", args::HELP);
            Ok(())
        }
        args::Command::List => {
            print!("{}", report::list());
            Ok(())
        }
        args::Command::Codec => codec::run(),
        args::Command::MacroCost => macro_cost::run(),
        args::Command::Progress => progress::run(),
        args::Command::Stats => looks::run(),
        args::Command::Peers(options) => peers_run(&options),
        args::Command::Sample {
            group,
            subject,
            context,
        } => group::sample(&group, &subject, context),
        args::Command::Limit(role) => limits::serve(&role),
        args::Command::IpcWorker(name) => peers::ipc::serve(name),
        args::Command::Empty => {
            // What every program pays that is started like a worker. The end of its input ends it.
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
            Ok(())
        }
        args::Command::Nothing => Ok(()),
    }
}

fn peers_run(options: &args::Options) -> Result<(), Fault> {
    let results = driver::run(options)?;
    print!("{}", report::text(&results));
    if let Some(path) = &options.json {
        std::fs::write(path, report::json(&results)?)?;
    }
    if let Some(path) = &options.svg {
        std::fs::write(path, chart::svg(&results)?)?;
    }
    Ok(())
}
