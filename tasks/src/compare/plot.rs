//! Drawings of a comparison: SVG without scripts, in the colors of the page. All are 340 wide, so that letters stay readable on a phone.

use crate::html::{escape, shorten};

use super::page::DayGain;
use super::slices::SliceEffect;

const WIDTH: f64 = 340.0;

/// Slices that are drawn.
const DRAWN_SLICES: usize = 24;

/// From values to places on the drawing.
struct Scale {
    least: f64,
    greatest: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Holds all `values` with a little room on both sides.
    fn over(values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Self {
        let values = values.into_iter().filter(|value| value.is_finite());
        let (least, greatest) = values.fold((0.0_f64, 0.0_f64), |(least, greatest), value| {
            (least.min(value), greatest.max(value))
        });
        let room = ((greatest - least) * 0.06).max(f64::MIN_POSITIVE);
        Self {
            least: least - room,
            greatest: greatest + room,
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value - self.least) / (self.greatest - self.least) * (self.to - self.from)
    }
}

fn drawing(height: f64, said: &str, content: &str) -> String {
    format!(
        "<figure><svg class=\"plot\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">{content}</svg></figure>\n",
        escape(said)
    )
}

fn upright(x: f64, from: f64, to: f64, class: &str) -> String {
    format!("<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\"/>")
}

fn level(y: f64, from: f64, to: f64, class: &str) -> String {
    format!("<line class=\"{class}\" x1=\"{from:.1}\" y1=\"{y:.1}\" x2=\"{to:.1}\" y2=\"{y:.1}\"/>")
}

fn letters(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
        escape(text)
    )
}

/// The gain in percent with its interval, between the lines that decide: nothing, the margin, and what is worth having.
pub(super) fn interval(gain: f64, lower: f64, upper: f64, margin: f64, worth: f64) -> String {
    // Room for the numbers beyond both ends.
    let scale = Scale::over([gain, lower, upper, margin, worth], 46.0, WIDTH - 46.0);
    let percent = |value: f64| format!("{value:.2} %");
    let zero = scale.place(0.0);
    let mut content = upright(zero, 22.0, 74.0, "axis");
    content.push_str(&letters(zero, 90.0, "middle", "no gain"));
    let (what, least) = if margin > 0.0 {
        ("margin", margin)
    } else {
        ("worth having", worth)
    };
    if least > 0.0 {
        let place = scale.place(least);
        content.push_str(&upright(place, 22.0, 74.0, "dashed"));
        content.push_str(&letters(place, 14.0, "middle", what));
    }
    let (from, to) = (scale.place(lower), scale.place(upper));
    content.push_str(&level(48.0, from, to, "reach"));
    content.push_str(&format!("<circle cx=\"{:.1}\" cy=\"48\" r=\"6\"/>", scale.place(gain)));
    content.push_str(&letters(from - 6.0, 52.0, "end", &percent(lower)));
    content.push_str(&letters(to + 6.0, 52.0, "start", &percent(upper)));
    let said = format!(
        "The loss falls by {gain:.2} percent; with 95 percent certainty by between {lower:.2} and {upper:.2} percent"
    );
    drawing(98.0, &said, &content)
}

/// The gain of each day: above the line the challenger was better.
pub(super) fn days(days: &[DayGain], loss: &str) -> String {
    let scale = Scale::over(days.iter().map(|day| day.gain), 112.0, 8.0);
    let zero = scale.place(0.0);
    let width = WIDTH / days.len().max(1) as f64;
    let mut content = String::new();
    for (index, day) in days.iter().enumerate() {
        let place = scale.place(day.gain);
        let class = if day.gain < 0.0 { " class=\"loses\"" } else { "" };
        content.push_str(&format!(
            "<rect{class} x=\"{:.1}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{:.1}\"/>",
            index as f64 * width,
            place.min(zero),
            (width * 0.85).max(0.3),
            (place - zero).abs()
        ));
    }
    content.push_str(&level(zero, 0.0, WIDTH, "axis"));
    let better = days.iter().filter(|day| day.gain > 0.0).count();
    let said = format!(
        "Gain in {loss} of each of {} days; on {better} of them the challenger was better",
        days.len()
    );
    if let (Some(first), Some(last)) = (days.first(), days.last()) {
        content.push_str(&letters(0.0, 130.0, "start", &first.day));
        content.push_str(&letters(WIDTH, 130.0, "end", &last.day));
    }
    drawing(136.0, &said, &content)
}

/// The slices that lose most, each with its interval.
pub(super) fn slices(worst_first: &[&SliceEffect]) -> String {
    let shown = &worst_first[..worst_first.len().min(DRAWN_SLICES)];
    let ends = shown.iter().flat_map(|effect| [effect.lower, effect.upper]);
    let scale = Scale::over(ends, 130.0, WIDTH - 8.0);
    let bottom = 8.0 + shown.len() as f64 * 18.0;
    let mut content = upright(scale.place(0.0), 4.0, bottom, "axis");
    for (index, effect) in shown.iter().enumerate() {
        let y = 16.0 + index as f64 * 18.0;
        content.push_str(&letters(122.0, y + 4.0, "end", &shorten(&effect.value, 18)));
        content.push_str(&level(y, scale.place(effect.lower), scale.place(effect.upper), "reach"));
        let class = if effect.gain < 0.0 { " class=\"loses\"" } else { "" };
        content.push_str(&format!(
            "<circle{class} cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>",
            scale.place(effect.gain)
        ));
    }
    let said = format!(
        "Gain in the {} slices that gain least; the table below has the numbers",
        shown.len()
    );
    drawing(bottom + 8.0, &said, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_stays_within_the_drawing() {
        for (gain, lower, upper) in [(0.0, 0.0, 0.0), (-5.0, -9.0, -1.0), (1e9, -1.0, 2e9)] {
            let scale = Scale::over([gain, lower, upper], 8.0, 332.0);
            for value in [gain, lower, upper, 0.0] {
                let place = scale.place(value);
                assert!((8.0..=332.0).contains(&place), "{value} stands at {place}");
            }
        }
    }
}
