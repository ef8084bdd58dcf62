//! A web server on an async runtime that has its pictures drawn by worker processes: the runtime's
//! own threads answer in a fraction of a millisecond however much there is to draw, a worker that
//! dies or hangs costs one request, and more requests than the workers can do are turned away.
//!
//! `cargo run --release --example async_server -- --help`

mod args;
mod fractal;
mod load;

use std::env;
use std::future::Future;
use std::io;
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pool_core::{Backend, Pool, RemoteError, TaskError, TaskErrorKind};
use pool_examples::say;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::args::Mode;
use crate::fractal::julia;

/// The maximum number of requests that wait for a worker.
const QUEUE: usize = 32;

/// How long a request waits for a place in a full queue before it is refused.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(50);

/// No answer takes longer: this wait, and the deadlines of the task.
const LONGEST: Duration = Duration::from_secs(4);

async fn julia_by_a_worker(State(pool): State<Pool>, Path(degrees): Path<u32>) -> Response {
    let submitted = timeout(WAIT_FOR_ROOM, pool.submit_async(julia::task(degrees))).await;
    match submitted {
        // Whoever goes away drops this future, and nothing is drawn for nobody.
        Ok(handle) => answer(handle.cancel_on_drop().await),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "too many wait already").into_response(),
    }
}

/// What not to do: as long as it computes, the thread serves nobody else.
async fn julia_directly(Path(degrees): Path<u32>) -> Response {
    answer(Ok(julia(degrees)))
}

fn answer(outcome: Result<Result<Vec<u8>, RemoteError>, TaskError>) -> Response {
    let (status, why) = match outcome {
        Ok(Ok(png)) => return ([(CONTENT_TYPE, "image/png")], png).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        Err(lost) => {
            let status = match lost.kind() {
                TaskErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
                TaskErrorKind::Rejected => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, lost.to_string())
        }
    };
    (status, why).into_response()
}

/// Serves until `end`, and then answers what has begun.
async fn serve(
    listener: TcpListener,
    pool: Pool,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new()
        .route("/ping", get(async || "pong"))
        .route("/julia/{degrees}", get(julia_by_a_worker))
        .route("/direct/{degrees}", get(julia_directly))
        .with_state(pool);
    let (ending, ended) = oneshot::channel::<()>();
    let server = axum::serve(listener, routes).with_graceful_shutdown(async {
        end.await;
        drop(ending);
    });
    tokio::select! {
        served = server.into_future() => served,
        // Whose request is not even complete by then is cut off.
        () = async { let _ = ended.await; sleep(LONGEST).await } => Ok(()),
    }
}

/// Has the server loaded by another process, this program again, until that ends.
async fn serve_under_load(listener: TcpListener, pool: Pool, time: Duration) -> anyhow::Result<()> {
    let url = format!("http://{}", listener.local_addr()?);
    let seconds = time.as_secs_f64().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, pool, async {
        let _ = stopped.await;
    }));
    let load = Command::new(env::current_exe()?)
        .args(["--load", &url, "--seconds", &seconds])
        .status()
        .await;
    drop(stop);
    server.await??;
    ensure!(load?.success(), "the load failed");
    Ok(())
}

/// Ready when somebody wants the program to end.
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

#[pool_core::main]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let build = || {
        Pool::builder()
            .backend(Backend::Processes)
            .queue(QUEUE)
            .build()
    };
    match pool_examples::options(args::parse) {
        Mode::Load(url, time) => {
            tokio::task::spawn_blocking(move || load::run(&url, time)).await??;
        }
        Mode::Listen(address) => {
            let pool = build()?;
            let end = interrupted()?;
            let listener = bind(&address).await?;
            say(format_args!("http://{}", listener.local_addr()?));
            serve(listener, pool, end).await?;
        }
        Mode::Demonstrate(time) => {
            serve_under_load(bind("127.0.0.1:0").await?, build()?, time).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;

    use pool_core::pool_task;

    use super::*;

    static GATE: Mutex<()> = Mutex::new(());

    #[pool_task]
    fn wait_at_the_gate() {
        drop(GATE.lock());
    }

    #[test]
    fn who_finds_the_queue_full_or_the_pool_closed_is_turned_away() {
        let builder = Pool::builder().backend(Backend::Threads);
        let pool = builder.workers(1).queue(1).build().expect("a pool");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().expect("a runtime");
        let status = || {
            let answer = julia_by_a_worker(State(pool.clone()), Path(90));
            runtime.block_on(answer).status()
        };
        assert_eq!(status(), StatusCode::OK);

        let closed = GATE.lock();
        let running = pool.submit(wait_at_the_gate::task());
        while !running.is_running() {
            thread::yield_now();
        }
        let queued = pool.submit(wait_at_the_gate::task());
        assert_eq!(status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(closed);
        assert_eq!(running.join(), Ok(()));
        assert_eq!(queued.join(), Ok(()));
        assert_eq!(status(), StatusCode::OK);

        pool.shutdown();
        assert_eq!(status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
