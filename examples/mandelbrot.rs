//! Draws a part of the Mandelbrot set on every backend in turn, each row a task, and writes it as
//! a PNG once the pictures are found to be the same.
//!
//! `cargo run --release --example mandelbrot -- --help`

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, ensure};
use lexopt::prelude::*;
use pool_core::{Backend, Pool, TaskError, pool_task};
use pool_examples::say;
use serde::{Deserialize, Serialize};

const HELP: &str = "\
Draws a part of the Mandelbrot set, each row of the picture a task, and writes it as a PNG.

usage: mandelbrot [--backend inline|threads|processes|cluster]... [--nats URL]
                  [--size WIDTHxHEIGHT] [--at X,Y,WIDTH] [--quiet] [FILE]

  FILE             the picture; without it, mandelbrot.png
  --backend NAME   inline, threads, processes or cluster; can be given several times
                   Without it: the first three in turn
  --nats URL       where the servers of the cluster are, like nats://127.0.0.1:4222;
                   without it, POOL_NATS says. Without --backend, the cluster is the fourth
  --size WxH       of the picture, in pixels, each from 1 to 20000; without it, 1200x800
  --at X,Y,WIDTH   the part of the plane: its middle and its width; without it,
                   -0.7459,0.1162,0.0075
  --quiet          show no progress
  --help           print this

The pictures of the backends have to be the same, byte for byte. Exit code: 0 if they are, 1 if
not or if the file cannot be written, 2 for arguments that make no sense.
";

/// The number of steps after which a point counts as one of the set.
const MAX_STEPS: u32 = 1_000;

/// Each pixel is the mean of `POINTS` × `POINTS` points.
const POINTS: u32 = 2;

const MAX_SIDE: u32 = 20_000;

/// What there is to see, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct View {
    /// In pixels.
    size: (u32, u32),
    /// On the plane.
    middle: (f64, f64),
    width: f64,
}

/// One row of the picture: red, green and blue of each pixel.
#[pool_task(idempotent)]
fn row(view: View, y: u32) -> Vec<u8> {
    (0..view.size.0).flat_map(|x| view.pixel(x, y)).collect()
}

impl View {
    fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let (width, height) = (f64::from(self.size.0), f64::from(self.size.1));
        let step = self.width / width;
        let mut sum = [0.0; 3];
        for point in 0..POINTS * POINTS {
            let part = |n: u32| (f64::from(n) + 0.5) / f64::from(POINTS);
            let x = f64::from(x) + part(point % POINTS) - width / 2.0;
            let y = f64::from(y) + part(point / POINTS) - height / 2.0;
            let colour = colour(self.middle.0 + x * step, self.middle.1 - y * step);
            sum = std::array::from_fn(|i| sum[i] + colour[i]);
        }
        sum.map(|sum| (sum / f64::from(POINTS * POINTS) * 255.0).round() as u8)
    }
}

/// Black inside of the set, and outside by how soon the point runs away.
fn colour(re: f64, im: f64) -> [f64; 3] {
    let Some(steps) = steps(re, im) else {
        return [0.0; 3];
    };
    // Around a wheel of blue, white, gold and black, more slowly the longer it took.
    let turn = steps.ln() * 0.9;
    [0.55, 0.62, 0.75].map(|phase| 0.5 - 0.5 * (std::f64::consts::TAU * (turn - phase)).cos())
}

/// How many steps the point takes to run away, with a fraction for smooth colours.
fn steps(re: f64, im: f64) -> Option<f64> {
    let (mut x, mut y) = (0.0_f64, 0.0_f64);
    for step in 0..MAX_STEPS {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > 1_000.0 {
            return Some(f64::from(step) + 2.0 - (xx + yy).ln().log2());
        }
        (x, y) = (xx - yy + re, 2.0 * x * y + im);
    }
    None
}

fn draw(view: View, pool: &Pool, quiet: bool) -> Result<Vec<u8>, TaskError> {
    let rows = pool.map((0..view.size.1).map(|y| row::task(view, y)));
    let rows = rows.title(pool.backend().to_string());
    let rows = if quiet { rows } else { rows.progress() };
    Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
}

fn encode(view: View, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut png = png::Encoder::new(&mut bytes, view.size.0, view.size.1);
    png.set_color(png::ColorType::Rgb);
    png.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

#[pool_core::main]
fn main() -> anyhow::Result<()> {
    let options = pool_examples::options(parse);
    let view = options.view;

    say("backend    workers  seconds");
    let mut picture = None;
    for &backend in &options.backends {
        let pool = pool_examples::pool(backend, options.nats.as_deref()).build()?;
        let begin = Instant::now();
        let pixels = draw(view, &pool, options.quiet)?;
        let seconds = begin.elapsed().as_secs_f64();
        let workers = pool.workers();
        say(format_args!("{backend:<9} {workers:>8} {seconds:>8.3}"));
        match &picture {
            None => picture = Some(pixels),
            Some(first) => ensure!(*first == pixels, "the picture differs on {backend}"),
        }
    }
    if options.backends.len() > 1 {
        say("✓ the pictures are the same on every backend");
    }

    let file = options.file.display();
    let png = encode(view, &picture.unwrap_or_default())?;
    fs::write(&options.file, png).with_context(|| format!("cannot write {file}"))?;
    let (width, height) = view.size;
    say(format_args!("{file}: {width} x {height} pixels"));
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Options {
    backends: Vec<Backend>,
    nats: Option<String>,
    view: View,
    quiet: bool,
    file: PathBuf,
}

fn parse(mut parser: lexopt::Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options {
        backends: Vec::new(),
        nats: None,
        view: View {
            size: (1_200, 800),
            middle: (-0.7459, 0.1162),
            width: 0.0075,
        },
        quiet: false,
        file: "mandelbrot.png".into(),
    };
    let mut file = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Long("backend") => options.backends.push(parser.value()?.parse()?),
            Long("nats") => options.nats = Some(parser.value()?.string()?),
            Long("size") => options.view.size = parser.value()?.parse_with(size)?,
            Long("at") => {
                (options.view.middle, options.view.width) = parser.value()?.parse_with(place)?;
            }
            Long("quiet") => options.quiet = true,
            Long("help") | Short('h') => pool_examples::help(HELP),
            Value(path) if file.is_none() => file = Some(path),
            other => return Err(other.unexpected()),
        }
    }
    if let Some(file) = file {
        options.file = file.into();
    }
    options.backends = pool_examples::backends(options.backends, options.nats.as_deref());
    Ok(options)
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| {
        text.parse()
            .ok()
            .filter(|side| (1..=MAX_SIDE).contains(side))
    };
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| format!("two numbers from 1 to {MAX_SIDE}, as in 1200x800"))
}

fn place(text: &str) -> Result<((f64, f64), f64), &'static str> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[x, y, width]) if x.is_finite() && y.is_finite() && width.is_normal() => {
            Ok(((x, y), width))
        }
        _ => Err("three numbers, as in -0.75,0,3"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Options, String> {
        parse(lexopt::Parser::from_args(args)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_whole_set_is_black_inside_and_as_wide_as_known() {
        assert_eq!(steps(0.0, 0.0), None);
        assert_eq!(steps(-1.0, 0.0), None);
        assert_eq!(steps(-2.0, 0.0), None);
        assert!(steps(-2.01, 0.0).is_some());
        assert!(steps(0.26, 0.0).is_some());
        assert_eq!(colour(-0.1, 0.1), [0.0; 3]);
    }

    #[test]
    fn a_row_is_as_wide_as_the_picture_and_symmetric_where_the_set_is() {
        let view = View {
            size: (60, 40),
            middle: (-0.75, 0.0),
            width: 3.0,
        };
        assert_eq!(row(view, 3).len(), 3 * 60);
        assert_eq!(row(view, 3), row(view, 36));
        assert_ne!(row(view, 3), row(view, 4));
    }

    #[test]
    fn options_are_read() {
        let options = parsed(&[
            "--size=30x20",
            "--at",
            "-0.75,0,3",
            "--backend=threads",
            "--quiet",
            "a.png",
        ]);
        let options = options.expect("valid");
        assert_eq!(options.backends, [Backend::Threads]);
        assert_eq!(options.view.size, (30, 20));
        assert_eq!(
            (options.view.middle, options.view.width),
            ((-0.75, 0.0), 3.0)
        );
        assert!(options.quiet);
        assert_eq!(options.file, PathBuf::from("a.png"));
        assert_eq!(parsed(&[]).expect("valid").backends.len(), 3);
        let options = parsed(&["--nats=nats://x"]).expect("valid");
        assert_eq!(options.backends.last(), Some(&Backend::Cluster));
    }

    #[test]
    fn nonsense_is_named() {
        for (args, named) in [
            (&["--backend", "fibres"][..], "fibres"),
            (&["--size", "30"], "\"30\""),
            (&["--size", "0x5"], "\"0x5\""),
            (&["--at", "1,2"], "\"1,2\""),
            (&["--at", "1,2,NaN"], "NaN"),
            (&["a.png", "b.png"], "b.png"),
        ] {
            let error = parsed(args).expect_err("nonsense");
            assert!(error.contains(named), "{args:?}: {error}");
        }
    }
}
