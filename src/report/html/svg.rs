//! Owns the drawing of a chart as SVG: shapes and colours. The colours are those of a light page, and the
//! page's style sheet finds them by their value and puts its own in their place.

use super::super::{Axis, Chart, Layer, Look, Marks, Place, Ticks};
use super::axis;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Colours that people with a colour vision deficiency can tell apart (Okabe and Ito 2008), without yellow
/// and black, which light and dark pages swallow.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
];

/// Text, and marks that are no variant's.
const INK: RGBColor = RGBColor(31, 35, 40);

/// Words along the axes.
const MUTED: RGBColor = RGBColor(89, 99, 110);

/// Lines behind everything.
const GRID: RGBColor = RGBColor(209, 217, 224);

/// What failed.
const FAILED: RGBColor = RGBColor(188, 0, 32);

/// Units of the drawing for one pixel as designed: plotters knows whole units alone.
const UNIT: i32 = 4;

const WIDTH: i32 = 480 * UNIT;
const HEIGHT: i32 = 290 * UNIT;
const TOP: i32 = 26 * UNIT;
const BOTTOM: i32 = 46 * UNIT;
const LEFT: i32 = 52 * UNIT;
const RIGHT: i32 = 14 * UNIT;

/// The height of text; the style sheet makes it larger on a phone. plotters divides by 1.24.
const TEXT: f64 = 12.0 * UNIT as f64 * 1.24;

/// Most characters of a row's label; the table has it whole.
const MOST_LETTERS: usize = 44;

/// Half the size of a mark.
const MARK: i32 = 9 * UNIT / 2;

/// A drawing: its size in units, and what stands in its `svg` element.
pub(super) struct Drawing {
    pub width: i32,
    pub height: i32,
    pub body: String,
}

/// The colours and dashes that the style sheet has to know: the colour of a variant in the drawing, and which
/// of its colours and dashes that is.
pub(super) fn looks(count: usize) -> Vec<(String, usize, usize)> {
    let hex = |look: Look| {
        let RGBColor(r, g, b) = color(look);
        (format!("#{r:02X}{g:02X}{b:02X}"), look % PALETTE.len(), look % 4)
    };
    (0..count).map(hex).collect()
}

/// The colour of a variant. Further ones repeat the palette with a difference that nobody sees, so that the
/// style sheet can tell them apart; shape and dashes differ.
fn color(look: Look) -> RGBColor {
    let RGBColor(r, g, b) = PALETTE[look % PALETTE.len()];
    RGBColor(r, g, b ^ (look / PALETTE.len() % 64) as u8)
}

/// Draws a chart.
pub(super) fn draw(chart: &Chart) -> Drawing {
    let frame = Frame::of(chart);
    let body = on_canvas(frame.width, frame.height, |canvas| {
        canvas.axes(chart, &frame);
        for layer in &chart.layers {
            canvas.layer(layer, &frame);
        }
        canvas.labels(&chart.y, &frame);
    });
    Drawing { width: frame.width, height: frame.height, body }
}

/// The sign of a variant in the legend: its line with its mark.
pub(super) fn swatch(look: Look) -> Drawing {
    let (width, height) = (36 * UNIT, 14 * UNIT);
    let middle = (width / 2, height / 2);
    let body = on_canvas(width, height, |canvas| {
        canvas.line(&[(0, middle.1), (width, middle.1)], &color(look), 2);
        canvas.mark(look, middle, MARK);
    });
    Drawing { width, height, body }
}

/// What is drawn by `draw`, without the element around it.
fn on_canvas(width: i32, height: i32, draw: impl FnOnce(&Canvas<'_>)) -> String {
    let mut text = String::new();
    {
        let size = (width as u32, height as u32);
        let canvas = Canvas(SVGBackend::with_string(&mut text, size).into_drawing_area());
        draw(&canvas);
    }
    let inner = text.split_once('\n').map_or("", |(_, rest)| rest);
    let inner = inner.trim_end().trim_end_matches("</svg>");
    // Half of what a dot takes says what holds in any case. Words are escaped and cannot look so.
    inner.replace(" stroke=\"none\" stroke-width=\"1\"", "").replace(" opacity=\"1\"", "")
}

/// Where a chart's values stand.
struct Frame<'a> {
    x: &'a Axis,
    y: &'a Axis,
    width: i32,
    height: i32,
    left: i32,
}

impl<'a> Frame<'a> {
    fn of(chart: &'a Chart) -> Frame<'a> {
        let (x, y, width) = (&chart.x, &chart.y, WIDTH);
        match &y.ticks {
            Ticks::Rows(labels, lanes) => {
                let row = (26 + 12 * *lanes as i32).max(56) * UNIT;
                let height = BOTTOM + UNIT * 8 + labels.len() as i32 * row;
                Frame { x, y, width, height, left: RIGHT }
            }
            _ => Frame { x, y, width, height: HEIGHT, left: LEFT },
        }
    }

    fn top(&self) -> i32 {
        if self.has_rows() { UNIT * 8 } else { TOP }
    }

    fn bottom(&self) -> i32 {
        self.height - BOTTOM
    }

    fn right(&self) -> i32 {
        self.width - RIGHT
    }

    fn has_rows(&self) -> bool {
        matches!(self.y.ticks, Ticks::Rows(..))
    }

    fn x(&self, value: f64) -> i32 {
        self.left
            + (axis::share(self.x, value) * f64::from(self.right() - self.left)).round() as i32
    }

    fn y(&self, value: f64) -> i32 {
        let share = axis::share(self.y, value);
        let share = if self.has_rows() { share } else { 1.0 - share };
        self.top() + (share * f64::from(self.bottom() - self.top())).round() as i32
    }

    fn place(&self, (x, y): Place) -> (i32, i32) {
        (self.x(x), self.y(y))
    }
}

/// A place on the canvas.
type Spot = (i32, i32);

struct Canvas<'a>(DrawingArea<SVGBackend<'a>, Shift>);

impl Canvas<'_> {
    fn line(&self, spots: &[Spot], color: &impl Color, width: u32) {
        let style = color.stroke_width(width * UNIT as u32);
        self.0.draw(&PathElement::new(spots.to_vec(), style)).expect(A_STRING);
    }

    fn polygon(&self, spots: Vec<Spot>, color: &impl Color) {
        self.0.draw(&Polygon::new(spots, color.filled())).expect(A_STRING);
    }

    fn box_of(&self, from: Spot, to: Spot, color: &impl Color) {
        self.0.draw(&Rectangle::new([from, to], color.filled())).expect(A_STRING);
    }

    fn circle(&self, at: Spot, radius: i32, style: ShapeStyle) {
        self.0.draw(&Circle::new(at, radius, style)).expect(A_STRING);
    }

    fn text(&self, text: &str, at: Spot, color: RGBColor, (across, along): (HPos, VPos)) {
        let style = TextStyle::from(("sans-serif", TEXT).into_font()).color(&color);
        let style = style.pos(Pos::new(across, along));
        self.0.draw(&Text::new(text.to_string(), at, style)).expect(A_STRING);
    }

    /// Lines behind the marks, and the words around them.
    fn axes(&self, chart: &Chart, frame: &Frame<'_>) {
        for (value, word) in axis::ticks(&chart.y) {
            let y = frame.y(value);
            self.line(&[(frame.left, y), (frame.right(), y)], &GRID, 1);
            self.text(&word, (frame.left - 6 * UNIT, y), MUTED, (HPos::Right, VPos::Center));
        }
        for (value, word) in axis::ticks(&chart.x) {
            let x = frame.x(value);
            self.line(&[(x, frame.top()), (x, frame.bottom())], &GRID, 1);
            // Words that would reach over an edge, on a phone, stop at it.
            let half = word.chars().count() as i32 * 5 * UNIT;
            let (side, x) = match x {
                _ if x + half > frame.width => (HPos::Right, frame.width - 2 * UNIT),
                _ if x < half => (HPos::Left, 2 * UNIT),
                _ => (HPos::Center, x),
            };
            self.text(&word, (x, frame.bottom() + 6 * UNIT), MUTED, (side, VPos::Top));
        }
        let bottom = frame.bottom();
        self.line(&[(frame.left, bottom), (frame.right(), bottom)], &MUTED, 1);
        let middle = ((frame.left + frame.right()) / 2, frame.height - 5 * UNIT);
        self.text(&chart.x.title, middle, INK, (HPos::Center, VPos::Bottom));
        self.text(&chart.y.title, (2 * UNIT, 2 * UNIT), INK, (HPos::Left, VPos::Top));
    }

    /// The labels of rows, over everything.
    fn labels(&self, y: &Axis, frame: &Frame<'_>) {
        let Ticks::Rows(labels, _) = &y.ticks else { return };
        for (row, label) in labels.iter().enumerate() {
            let mut short: String = label.chars().take(MOST_LETTERS).collect();
            if short.len() < label.len() {
                short.push('…');
            }
            let at = (frame.left + 2 * UNIT, frame.y(row as f64) + 2 * UNIT);
            self.text(&short, at, INK, (HPos::Left, VPos::Top));
        }
    }

    fn layer(&self, layer: &Layer, frame: &Frame<'_>) {
        let (look, color) = (layer.look, color(layer.look));
        let spots = |places: &[Place]| -> Vec<Spot> {
            places.iter().map(|place| frame.place(*place)).collect()
        };
        match &layer.marks {
            Marks::Cloud(places) => {
                let faint = color.mix(0.5).filled();
                spots(places).into_iter().for_each(|at| self.circle(at, 5 * UNIT / 2, faint));
            }
            Marks::Points(places) => {
                spots(places).into_iter().for_each(|at| self.mark(look, at, MARK));
            }
            Marks::Line(places) => self.line(&spots(places), &color, 2),
            Marks::Band(band) => {
                let lows = band.iter().map(|(x, low, _)| frame.place((*x, *low)));
                let highs = band.iter().rev().map(|(x, _, high)| frame.place((*x, *high)));
                self.polygon(lows.chain(highs).collect(), &color.mix(0.18));
            }
            Marks::Bars(places) => spots(places).into_iter().for_each(|(x, y)| {
                self.box_of((frame.left, y - 2 * UNIT), (x, y + 2 * UNIT), &color.mix(0.6));
            }),
            Marks::Median(place) => {
                let (x, y) = frame.place(*place);
                let (from, to) = ((x - UNIT, y - 11 * UNIT), (x + UNIT, y + 11 * UNIT));
                self.box_of(from, to, &INK);
            }
            Marks::Estimate { value, interval, y } => self.estimate(*value, *interval, *y, frame),
            Marks::Failed(places) => spots(places).into_iter().for_each(|at| self.cross(at)),
            Marks::Rings(places) => spots(places).into_iter().for_each(|at| {
                self.circle(at, 8 * UNIT, INK.stroke_width(2 * UNIT as u32));
            }),
        }
    }

    /// A diamond on the line of its interval.
    fn estimate(&self, value: f64, interval: Option<(f64, f64)>, y: f64, frame: &Frame<'_>) {
        let (x, y) = frame.place((value, y));
        if let Some((low, high)) = interval {
            let (low, high) = (frame.x(low), frame.x(high));
            self.line(&[(low, y), (high, y)], &INK, 2);
            for end in [low, high] {
                self.line(&[(end, y - 5 * UNIT), (end, y + 5 * UNIT)], &INK, 2);
            }
        }
        self.polygon(diamond((x, y), 6 * UNIT), &INK);
    }

    fn cross(&self, (x, y): Spot) {
        let arm = 4 * UNIT;
        self.line(&[(x - arm, y - arm), (x + arm, y + arm)], &FAILED, 2);
        self.line(&[(x - arm, y + arm), (x + arm, y - arm)], &FAILED, 2);
    }

    /// The mark of a variant, in its shape.
    fn mark(&self, look: Look, at: Spot, size: i32) {
        let (color, (x, y)) = (color(look), at);
        let wide = size * 6 / 5;
        match look % 5 {
            0 => self.circle(at, size, color.filled()),
            1 => self.box_of((x - size, y - size), (x + size, y + size), &color),
            2 => self
                .polygon(vec![(x, y - wide), (x + wide, y + size), (x - wide, y + size)], &color),
            3 => self.polygon(diamond(at, wide), &color),
            _ => self
                .polygon(vec![(x, y + wide), (x + wide, y - size), (x - wide, y - size)], &color),
        }
    }
}

const A_STRING: &str = "writing to a string cannot fail";

fn diamond((x, y): Spot, size: i32) -> Vec<Spot> {
    vec![(x, y - size), (x + size, y), (x, y + size), (x - size, y)]
}
