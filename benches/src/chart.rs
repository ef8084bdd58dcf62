//! The chart: one panel a row, bars on a logarithmic scale, everybody side by side.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Fault;
use crate::driver::{Results, RowResult};
use crate::group::Unit;
use crate::report::show;
use crate::subject::{Kind, Limit, Subject};

/// The rows that the chart shows, two panels side by side, with a title that fits.
const PANELS: [(&str, &str); 8] = [
    ("trip.p50", "Round trip of one tiny task"),
    ("trip.cold", "Round trip after 100 ms of idleness"),
    ("submit.2k", "Tiny tasks one by one, 2,000 in flight"),
    ("submit.1m", "Tiny tasks one by one, 1,000,000 in flight"),
    ("map.tiny", "Tiny items through map"),
    ("echo.64k", "64 KiB echoed, one at a time"),
    ("big.again", "256 MiB of f64 to a worker, second time"),
    ("start", "Start of a pool until its first results"),
];

const WIDTH: i32 = 1100;
const MARGIN: i32 = 20;
const GAP: i32 = 30;
const PANEL: i32 = (WIDTH - 2 * MARGIN - GAP) / 2;
const HEAD: i32 = 46;
const BAR: i32 = 19;
const FOOT: i32 = 22;
const LABELS: i32 = 178;
/// Room for the value behind the longest bar.
const VALUES: i32 = 82;

const INK: RGBColor = RGBColor(36, 41, 47);
const FAINT: RGBColor = RGBColor(110, 119, 129);
const OWN: RGBColor = RGBColor(9, 105, 218);
const PEER: RGBColor = RGBColor(154, 164, 175);
const LIMIT: RGBColor = RGBColor(212, 167, 44);
const GRID: RGBColor = RGBColor(222, 226, 231);

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The chart as the text of an SVG file.
pub(crate) fn svg(results: &Results) -> Result<String, Fault> {
    let panels: Vec<_> = PANELS
        .iter()
        .filter_map(|(name, title)| Some((*title, bars(results.row(name)?)?)))
        .collect();
    let heights: Vec<i32> = panels
        .chunks(2)
        .map(|pair| {
            pair.iter()
                .map(|(_, panel)| panel.height())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let legend = 34;
    let height = 2 * MARGIN + legend + heights.iter().map(|h| h + GAP).sum::<i32>();

    let mut text = String::new();
    {
        let area =
            SVGBackend::with_string(&mut text, (WIDTH as u32, height as u32)).into_drawing_area();
        area.fill(&WHITE)?;
        draw_legend(&area)?;
        let mut top = MARGIN + legend;
        for (pair, height) in panels.chunks(2).zip(&heights) {
            for ((title, panel), left) in pair.iter().zip([MARGIN, MARGIN + PANEL + GAP]) {
                panel.draw(&area, title, (left, top))?;
            }
            top += height + GAP;
        }
        area.present()?;
    }
    Ok(text)
}

/// The bars of one row.
struct Panel {
    unit: Unit,
    bars: Vec<(Subject, f64)>,
    /// What has no value: its name and why.
    failed: Vec<(Subject, String)>,
}

/// `None` when nobody has a value.
fn bars(result: &RowResult) -> Option<Panel> {
    let mut bars = Vec::new();
    let mut failed = Vec::new();
    for (subject, cell) in &result.cells {
        match (cell.median(), &cell.failure) {
            _ if *subject == Subject::Limit(Limit::Clock) => {}
            // A logarithm has no place for zero or less.
            (Some(median), _) if median > 0.0 => bars.push((*subject, median)),
            (Some(_), _) => failed.push((*subject, "none".into())),
            (None, Some(why)) if why.starts_with("not installed") => {}
            (None, Some(_)) => failed.push((*subject, "failed".into())),
            (None, None) => {}
        }
    }
    bars.sort_by(|a, b| match result.row.unit.less_is_better() {
        true => a.1.total_cmp(&b.1),
        false => b.1.total_cmp(&a.1),
    });
    (!bars.is_empty()).then_some(Panel {
        unit: result.row.unit,
        bars,
        failed,
    })
}

impl Panel {
    fn height(&self) -> i32 {
        HEAD + BAR * (self.bars.len() + self.failed.len()) as i32 + FOOT
    }

    fn draw(&self, area: &Area<'_>, title: &str, (left, top): (i32, i32)) -> Result<(), Fault> {
        let better = match self.unit.less_is_better() {
            true => "shorter is better",
            false => "longer is better",
        };
        let scale = Scale::of(&self.bars);
        label(area, title, (left, top + 8), 16, INK, HPos::Left)?;
        label(area, better, (left, top + 26), 12, FAINT, HPos::Left)?;
        let first = left + LABELS;
        let bottom = top + HEAD + BAR * (self.bars.len() + self.failed.len()) as i32;
        for decade in scale.decades() {
            let x = first + scale.length(decade);
            area.draw(&PathElement::new(
                vec![(x, top + HEAD - 4), (x, bottom)],
                GRID.stroke_width(1),
            ))?;
            let text = show(decade, self.unit)
                .replacen(".00", "", 1)
                .replacen(".0", "", 1);
            label(area, &text, (x, bottom + 9), 11, FAINT, HPos::Center)?;
        }
        let mut middle = top + HEAD + BAR / 2;
        for (subject, value) in &self.bars {
            let color = match subject.kind() {
                Kind::Own => OWN,
                Kind::Peer => PEER,
                Kind::Limit => LIMIT,
            };
            let end = first + scale.length(*value).max(2);
            area.draw(&Rectangle::new(
                [(first, middle - BAR / 2 + 3), (end, middle + BAR / 2 - 2)],
                color.filled(),
            ))?;
            let ink = if subject.kind() == Kind::Own {
                OWN
            } else {
                INK
            };
            label(
                area,
                &subject.to_string(),
                (first - 6, middle),
                12,
                ink,
                HPos::Right,
            )?;
            label(
                area,
                &show(*value, self.unit),
                (end + 5, middle),
                12,
                ink,
                HPos::Left,
            )?;
            middle += BAR;
        }
        for (subject, why) in &self.failed {
            label(
                area,
                &subject.to_string(),
                (first - 6, middle),
                12,
                INK,
                HPos::Right,
            )?;
            label(area, why, (first + 5, middle), 12, FAINT, HPos::Left)?;
            middle += BAR;
        }
        Ok(())
    }
}

/// From values to lengths: whole decades, the smallest value not at the very edge.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(bars: &[(Subject, f64)]) -> Self {
        let logs = || bars.iter().map(|(_, value)| value.log10());
        let low = (logs().fold(f64::MAX, f64::min) - 0.2).floor();
        let high = logs().fold(f64::MIN, f64::max);
        Self {
            low,
            high: high.max(low + 1.0),
        }
    }

    fn length(&self, value: f64) -> i32 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        (share * f64::from(PANEL - LABELS - VALUES)) as i32
    }

    /// The powers of ten inside, not more than fit.
    fn decades(&self) -> impl Iterator<Item = f64> {
        let (low, high) = (self.low as i32, self.high.floor() as i32);
        let step = 1 + (high - low) / 5;
        (low..=high)
            .step_by(step as usize)
            .map(|power| 10_f64.powi(power))
    }
}

fn draw_legend(area: &Area<'_>) -> Result<(), Fault> {
    let mut x = MARGIN;
    let y = MARGIN;
    for (color, text, width) in [
        (OWN, "this project", 110),
        (PEER, "what one would use instead", 200),
        (LIMIT, "what the machine can do at best", 220),
    ] {
        area.draw(&Rectangle::new(
            [(x, y - 6), (x + 14, y + 6)],
            color.filled(),
        ))?;
        label(area, text, (x + 20, y), 13, INK, HPos::Left)?;
        x += width;
    }
    let scale = "two workers unless said otherwise; logarithmic scales";
    label(area, scale, (WIDTH - MARGIN, y), 13, FAINT, HPos::Right)
}

fn label(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    color: RGBColor,
    anchor: HPos,
) -> Result<(), Fault> {
    let style = ("sans-serif", size)
        .into_font()
        .color(&color)
        .pos(Pos::new(anchor, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}
