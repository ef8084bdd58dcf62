//! A folder of images for the occasion: good ones, a corrupt one, and a decompression bomb.

use std::f32::consts::TAU;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// So many pixels to each side of the bomb: 900 MB in memory, 110 KB on the disk.
const BOMB_SIDE: u32 = 30_000;

/// The colour at a place, which is from 0 to 1 in both directions.
type Painter = fn(f32, f32) -> [f32; 3];

const PICTURES: &[(&str, (u32, u32), Painter)] = &[
    ("bands.gif", (240, 240), |x, y| {
        wheel((6.0 * (x + y)).floor() / 12.0)
    }),
    ("checks.png", (400, 300), |x, y| {
        let odd = ((8.0 * x) as u32 + (6.0 * y) as u32) % 2 == 1;
        if odd {
            [0.9, 0.88, 0.8]
        } else {
            [0.2, 0.3, 0.35]
        }
    }),
    ("dunes.jpg", (800, 450), |x, y| {
        let ridge = 0.5 + 0.12 * (TAU * x).sin() + 0.05 * (3.0 * TAU * x).cos();
        let shade = 0.5 + 0.5 * (40.0 * (y - ridge)).sin();
        if y < ridge {
            [0.5 + 0.4 * y, 0.7, 0.9]
        } else {
            [0.9, 0.6 + 0.15 * shade, 0.35]
        }
    }),
    ("dusk.jpg", (600, 450), |_, y| {
        [0.2 + 0.8 * y, 0.1 + 0.45 * y * y, 0.4 - 0.15 * y]
    }),
    ("moon.png", (450, 450), |x, y| {
        let lit = (x - 0.5).hypot(y - 0.5) < 0.32 && (x - 0.62).hypot(y - 0.44) > 0.28;
        if lit {
            [0.97, 0.94, 0.78]
        } else {
            [0.05, 0.07, 0.2 - 0.1 * y]
        }
    }),
    ("plasma.jpg", (700, 500), |x, y| {
        wheel(0.3 * ((9.0 * x).sin() + (7.0 * y + 4.0 * x).cos() + (11.0 * x * y).sin()))
    }),
    ("rings.png", (350, 500), |x, y| {
        wheel(2.5 * (x - 0.5).hypot((y - 0.5) / 0.7))
    }),
    ("spiral.png", (500, 500), |x, y| {
        let (x, y) = (x - 0.5, y - 0.5);
        wheel(y.atan2(x) / TAU + 3.0 * x.hypot(y))
    }),
    ("waves.jpg", (800, 400), |x, y| {
        let crest = 0.5 + 0.5 * (30.0 * y + 3.0 * (9.0 * x).sin()).sin();
        [0.1 * crest, 0.35 + 0.3 * crest, 0.55 + 0.35 * crest]
    }),
    ("wheel.jpg", (450, 300), |x, y| {
        wheel((y - 0.5).atan2(1.5 * (x - 0.5)) / TAU)
    }),
];

/// The colours of a wheel, once around for each 1.
fn wheel(turn: f32) -> [f32; 3] {
    [0.0, 0.33, 0.67].map(|phase| 0.6 + 0.3 * (TAU * (turn + phase)).cos())
}

/// Makes the folder, which is gone when it is dropped.
pub(crate) fn make() -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for &(name, (width, height), painter) in PICTURES {
        let picture = RgbImage::from_fn(width, height, |x, y| {
            let colour = painter(x as f32 / width as f32, y as f32 / height as f32);
            Rgb(colour.map(|part| (part * 255.0) as u8))
        });
        picture.save(folder.path().join(name))?;
    }
    let good = fs::read(folder.path().join("spiral.png"))?;
    fs::write(folder.path().join("corrupt.png"), &good[..good.len() / 2])?;
    write_bomb(&folder.path().join("bomb.png"))?;
    Ok(folder)
}

/// Writes an image that is small because all its pixels, one bit each, are the same. A decoder
/// makes a byte of every bit.
fn write_bomb(path: &Path) -> anyhow::Result<()> {
    let mut png = png::Encoder::new(File::create(path)?, BOMB_SIDE, BOMB_SIDE);
    png.set_color(png::ColorType::Grayscale);
    png.set_depth(png::BitDepth::One);
    png.set_filter(png::Filter::NoFilter);
    let mut png = png.write_header()?;
    let mut pixels = png.stream_writer()?;
    let len = u64::from(BOMB_SIDE.div_ceil(8)) * u64::from(BOMB_SIDE);
    io::copy(&mut io::Read::take(io::repeat(0), len), &mut pixels)?;
    pixels.flush()?;
    Ok(pixels.finish()?)
}
