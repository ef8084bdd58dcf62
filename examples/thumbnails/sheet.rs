//! The contact sheet: a table of small images with their names below.

use std::path::Path;

use image::imageops::overlay;
use image::{ImageResult, Rgba, RgbaImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::Thumbnail;

/// How large an image can be on the sheet.
pub(crate) const IMAGE: (u32, u32) = (200, 150);

const GAP: u32 = 14;
const CELL: (u32, u32) = (IMAGE.0 + GAP, IMAGE.1 + LETTER.1 + 2 * GAP);

const WEIGHT: FontWeight = FontWeight::Regular;
const HEIGHT: RasterHeight = RasterHeight::Size16;
const LETTER: (u32, u32) = (get_raster_width(WEIGHT, HEIGHT) as u32, HEIGHT.val() as u32);

const PAPER: Rgba<u8> = Rgba([24, 26, 30, 255]);
const INK: Rgba<u8> = Rgba([205, 208, 214, 255]);
const ALARM: Rgba<u8> = Rgba([92, 28, 34, 255]);
const ALARM_INK: Rgba<u8> = Rgba([255, 190, 180, 255]);

/// What a cell shows.
pub(crate) enum Cell {
    Image(Thumbnail),
    /// In a word, why there is none.
    Failure(&'static str),
}

/// A sheet that is filled row by row.
pub(crate) struct Sheet {
    image: RgbaImage,
    columns: u32,
    filled: u32,
}

impl Sheet {
    pub(crate) fn new(cells: usize) -> Self {
        let cells = u32::try_from(cells).unwrap_or(u32::MAX).max(1);
        // Somewhat wider than high.
        let columns = (cells.isqrt() + 1).min(cells);
        let rows = cells.div_ceil(columns);
        let (width, height) = (columns * CELL.0 + GAP, rows * CELL.1 + GAP);
        Self {
            image: RgbaImage::from_pixel(width, height, PAPER),
            columns,
            filled: 0,
        }
    }

    /// Fills the next cell.
    pub(crate) fn add(&mut self, name: &str, cell: Cell) {
        let column = self.filled % self.columns;
        let row = self.filled / self.columns;
        self.filled += 1;
        let (left, top) = (GAP + column * CELL.0, GAP + row * CELL.1);

        let (picture, ink) = match cell {
            Cell::Image(Thumbnail { size, pixels, .. }) => {
                let picture = RgbaImage::from_raw(size.0, size.1, pixels);
                (picture.unwrap_or_default(), INK)
            }
            Cell::Failure(word) => (placeholder(word), ALARM_INK),
        };
        let middle = |room: u32, len: u32| i64::from(room.saturating_sub(len) / 2);
        let x = i64::from(left) + middle(IMAGE.0, picture.width());
        let y = i64::from(top) + middle(IMAGE.1, picture.height());
        overlay(&mut self.image, &picture, x, y);

        let name = shortened(name, IMAGE.0 / LETTER.0);
        let x = i64::from(left) + middle(IMAGE.0, width(&name));
        write(
            &mut self.image,
            &name,
            x as u32,
            top + IMAGE.1 + GAP / 2,
            ink,
        );
    }

    pub(crate) fn save(&self, path: &Path) -> ImageResult<()> {
        self.image.save_with_format(path, image::ImageFormat::Png)
    }
}

fn placeholder(word: &str) -> RgbaImage {
    let mut image = RgbaImage::from_pixel(IMAGE.0, IMAGE.1, ALARM);
    let (x, y) = ((IMAGE.0 - width(word)) / 2, (IMAGE.1 - LETTER.1) / 2);
    write(&mut image, word, x, y, ALARM_INK);
    image
}

fn width(text: &str) -> u32 {
    text.chars().count() as u32 * LETTER.0
}

/// Shortens a text to at most `letters` letters.
fn shortened(text: &str, letters: u32) -> String {
    let letters = letters as usize;
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(letters - 2).collect();
    kept + ".."
}

fn write(image: &mut RgbaImage, text: &str, x: u32, y: u32, ink: Rgba<u8>) {
    let letters = text.chars().map(|letter| {
        get_raster(letter, WEIGHT, HEIGHT).or_else(|| get_raster('?', WEIGHT, HEIGHT))
    });
    for (raster, left) in letters.zip((x..).step_by(LETTER.0 as usize)) {
        for (row, y) in raster.iter().flat_map(|raster| raster.rows()).zip(y..) {
            for (&opacity, x) in row.iter().zip(left..) {
                if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
                    let mut ink = ink;
                    ink[3] = opacity;
                    image::Pixel::blend(pixel, &ink);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_has_room_for_every_cell() {
        for cells in [0, 1, 2, 3, 5, 12, 100] {
            let mut sheet = Sheet::new(cells);
            for _ in 0..cells {
                sheet.add(
                    "a name that is much too long for its cell.png",
                    Cell::Failure("no"),
                );
            }
            let alarming = sheet
                .image
                .pixels()
                .filter(|pixel| **pixel == ALARM)
                .count();
            let most = (IMAGE.0 * IMAGE.1) as usize * cells;
            assert!(alarming <= most && alarming >= most * 9 / 10, "{cells}");
        }
    }

    #[test]
    fn names_fit() {
        assert_eq!(shortened("frog", 4), "frog");
        assert_eq!(shortened("tadpole", 5), "tad..");
    }
}
