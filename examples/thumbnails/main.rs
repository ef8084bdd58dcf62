//! Makes a contact sheet of a folder of images, each decoded in a worker process with a deadline
//! and a memory limit: an image that is corrupt, takes for ever or unpacks into gigabytes costs its
//! own cell of the sheet.
//!
//! `cargo run --release --example thumbnails -- --help`

mod sample;
mod sheet;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use image::{DynamicImage, ImageDecoder, ImageReader};
use lexopt::prelude::*;
use pool_core::{Backend, Failure, Pool, RemoteError, TaskErrorKind, flatten, pool_task};
use pool_examples::say;
use serde::{Deserialize, Serialize};

use crate::sheet::{Cell, Sheet};

const HELP: &str = "\
Decodes the images of a folder in worker processes and writes a contact sheet of them.

usage: thumbnails [--memory MIB] [--seconds N] [--out FILE] [FOLDER]

  FOLDER        its files named *.png, *.jpg, *.jpeg and *.gif; without it, a sample is made
                for the occasion, with a corrupt image and a decompression bomb in it
  --memory MIB  how much memory a worker may have; without it, 512
  --seconds N   how long an image may take; without it, 10
  --out FILE    the sheet, a PNG; without it, thumbnails.png
  --help        print this

Exit code: 0 if the sheet is written, whatever the images were; 1 if it is not; 2 for arguments
that make no sense.
";

/// A small image, and how large it was.
#[derive(Serialize, Deserialize)]
struct Thumbnail {
    original: (u32, u32),
    size: (u32, u32),
    /// Red, green, blue and opacity of each pixel.
    pixels: Vec<u8>,
}

/// Decodes an image file and makes it small enough for its cell.
#[pool_task]
fn thumbnail(path: &OsStr) -> Result<Thumbnail, RemoteError> {
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    // The decoder would refuse by itself what it thinks too large. Not every decoder is so kind,
    // so here it is the memory limit of the pool that ends a decompression bomb: the pool looks at
    // its workers every 10 ms, and kills the one that has too much.
    reader.no_limits();
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);

    let original = (image.width(), image.height());
    if original.0 > sheet::IMAGE.0 || original.1 > sheet::IMAGE.1 {
        image = image.thumbnail(sheet::IMAGE.0, sheet::IMAGE.1);
    }
    let image = image.into_rgba8();
    Ok(Thumbnail {
        original,
        size: image.dimensions(),
        pixels: image.into_raw(),
    })
}

/// The image files of a folder, by name.
fn images(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_image = |path: &PathBuf| {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        ["png", "jpg", "jpeg", "gif"]
            .iter()
            .any(|known| ending == *known)
    };
    let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.collect();
    let paths = entries?.into_iter().map(|entry| entry.path());
    let mut paths: Vec<_> = paths.filter(is_image).collect();
    paths.sort();
    Ok(paths)
}

/// What is wrong with an image: in a word for its cell, and in full.
fn describe(failure: &Failure<RemoteError>) -> (&'static str, String) {
    let lost = match failure {
        Failure::Returned(error) => return ("not readable", error.to_string()),
        Failure::Task(lost) => lost,
    };
    match lost.kind() {
        TaskErrorKind::OutOfMemory => {
            let figures = lost.message().unwrap_or_default();
            ("too large", format!("needs too much memory: {figures}"))
        }
        TaskErrorKind::TimedOut => ("too slow", "took too long".to_owned()),
        TaskErrorKind::WorkerLost => ("crash", lost.to_string()),
        _ => ("failed", lost.to_string()),
    }
}

#[pool_core::main]
fn main() -> anyhow::Result<()> {
    let options = pool_examples::options(parse);
    // The sample is gone when `main` ends.
    let sample;
    let folder = match &options.folder {
        Some(folder) => folder,
        None => {
            sample = sample::make().context("cannot make a sample")?;
            sample.path()
        }
    };
    let images = images(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    ensure!(!images.is_empty(), "no image is in {}", folder.display());

    let pool = Pool::builder()
        .backend(Backend::Processes)
        .memory_limit(options.memory << 20)
        .build()?;
    let begin = Instant::now();
    let outcomes = pool
        .map(images.iter().map(|path| thumbnail::task(path.as_os_str())))
        .timeout(options.limit)
        .map(flatten);
    let mut sheet = Sheet::new(images.len());
    let mut failures = 0;
    for (path, outcome) in images.iter().zip(outcomes) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match outcome {
            Ok(thumbnail) => {
                let (width, height) = thumbnail.original;
                say(format_args!("✓ {name:<20} {width} x {height}"));
                sheet.add(&name, Cell::Image(thumbnail));
            }
            Err(failure) => {
                let (word, why) = describe(&failure);
                say(format_args!("✗ {name:<20} {why}"));
                sheet.add(&name, Cell::Failure(word));
                failures += 1;
            }
        }
    }
    let seconds = begin.elapsed().as_secs_f64();

    let out = options.out.display();
    sheet
        .save(&options.out)
        .with_context(|| format!("cannot write {out}"))?;
    say(format_args!(
        "\n{} images, {failures} of them failed; {} worker processes, {seconds:.3} s\n{out}",
        images.len(),
        pool.workers(),
    ));
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Options {
    folder: Option<PathBuf>,
    /// In MiB.
    memory: u64,
    limit: Duration,
    out: PathBuf,
}

fn parse(mut parser: lexopt::Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options {
        folder: None,
        memory: 512,
        limit: Duration::from_secs(10),
        out: "thumbnails.png".into(),
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("memory") => options.memory = parser.value()?.parse_with(memory)?,
            Long("seconds") => options.limit = parser.value()?.parse_with(seconds)?,
            Long("out") => options.out = parser.value()?.into(),
            Long("help") | Short('h') => pool_examples::help(HELP),
            Value(folder) if options.folder.is_none() => options.folder = Some(folder.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn memory(text: &str) -> Result<u64, &'static str> {
    let number = text.parse().ok();
    let number = number.filter(|mib| (1..=u64::MAX >> 20).contains(mib));
    number.ok_or("a number of MiB, from 1")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let number = text.parse().ok().filter(|seconds| *seconds > 0.0);
    let limit = number.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    limit.ok_or("a number of seconds above 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_good_but_for_two_images() {
        let sample = sample::make().expect("a sample");
        let images = images(sample.path()).expect("a folder");
        assert!(images.len() > 8);
        // In this very process, so not the bomb: its header has to do.
        for path in images {
            let small = (!path.ends_with("bomb.png")).then(|| thumbnail(path.as_os_str()));
            match path.file_name().and_then(OsStr::to_str) {
                Some("bomb.png") => {
                    let size = image::image_dimensions(&path).expect("a header");
                    assert_eq!(size, (30_000, 30_000));
                    assert!(fs::metadata(&path).expect("a file").len() < 1 << 20);
                }
                Some("corrupt.png") => assert!(small.is_some_and(|small| small.is_err())),
                _ => {
                    let small = small.expect("tried").expect("good");
                    assert!(small.original.0 > small.size.0);
                    assert_eq!(small.pixels.len() as u32, 4 * small.size.0 * small.size.1);
                }
            }
        }
    }

    #[test]
    fn small_images_stay_as_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dot.PNG");
        let dot = image::RgbaImage::from_pixel(2, 1, image::Rgba([1, 2, 3, 4]));
        dot.save(&path).expect("saved");
        assert_eq!(images(folder.path()).expect("a folder"), [path.clone()]);
        let small = thumbnail(path.as_os_str()).expect("good");
        assert_eq!((small.original, small.size), ((2, 1), (2, 1)));
        assert_eq!(small.pixels, [1, 2, 3, 4, 1, 2, 3, 4]);
    }

    #[test]
    fn options_are_read() {
        let parsed = |args: &[&str]| {
            parse(lexopt::Parser::from_args(args)).map_err(|error| error.to_string())
        };
        let options = parsed(&["--memory", "64", "--seconds=0.5", "folder"]).expect("valid");
        assert_eq!(options.folder.as_deref(), Some(Path::new("folder")));
        assert_eq!(
            (options.memory, options.limit),
            (64, Duration::from_millis(500))
        );
        for (args, named) in [
            (&["--memory", "0"][..], "\"0\""),
            (&["--memory", "99999999999999999"], "999"),
            (&["--seconds", "-1"], "-1"),
            (&["--seconds", "NaN"], "NaN"),
            (&["a", "b"], "b"),
        ] {
            let error = parsed(args).expect_err("nonsense");
            assert!(error.contains(named), "{args:?}: {error}");
        }
    }
}
