//! Work for a processor: a picture of a Julia set.

use std::f64::consts::TAU;
use std::io;

use pool_core::{RemoteError, pool_task};

/// The width and height of a picture in pixels.
pub(crate) const SIDE: u32 = 160;

const MAX_STEPS: u32 = 300;

/// The set for a point on the way around the Mandelbrot set, as a PNG. A picture that takes longer
/// than the deadline, or whose turn does not come in time, is of no use to whoever waits for it.
#[pool_task(timeout = "2s", queue_timeout = "1s")]
pub(crate) fn julia(degrees: u32) -> Result<Vec<u8>, RemoteError> {
    let (sin, cos) = (f64::from(degrees) / 360.0 * TAU).sin_cos();
    let point = (0.7885 * cos, 0.7885 * sin);
    let place = |pixel: u32| (f64::from(pixel) + 0.5) / f64::from(SIDE) * 3.0 - 1.5;
    let pixels: Vec<u8> = (0..SIDE * SIDE)
        .flat_map(|at| colour(place(at % SIDE), place(at / SIDE), point))
        .collect();

    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(io::Cursor::new(&mut png), SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(png)
}

fn colour(mut x: f64, mut y: f64, point: (f64, f64)) -> [u8; 3] {
    for step in 0..MAX_STEPS {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > 100.0 {
            let turn = (f64::from(step) + 2.0 - (xx + yy).ln().log2())
                .max(1.0)
                .ln();
            return [0.2, 0.3, 0.45]
                .map(|phase| (127.5 - 127.5 * (TAU * (0.4 * turn - phase)).cos()) as u8);
        }
        (x, y) = (xx - yy + point.0, 2.0 * x * y + point.1);
    }
    [0; 3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_angle_has_its_own_picture() {
        let [one, other] = [10, 200].map(|degrees| julia(degrees).expect("a picture"));
        assert_ne!(one, other);
        let decoder = png::Decoder::new(io::Cursor::new(one));
        let mut reader = decoder.read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("small")];
        let frame = reader.next_frame(&mut pixels).expect("a frame");
        assert_eq!((frame.width, frame.height), (SIDE, SIDE));
    }
}
