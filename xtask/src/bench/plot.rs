//! A plot of a group: a bar for each median, a line from least to most.

use std::fmt::Write as _;

use super::report::Row;

const BAR: f64 = 18.0;
const LEFT: f64 = 280.0;
const WIDTH: f64 = 560.0;

fn text(s: &str) -> String {
    s.replace('&', "&amp;").replace('<', "&lt;")
}

/// The plot. Its scale is logarithmic if the rows differ by more than 20 times.
#[expect(clippy::cast_precision_loss, reason = "rows are few")]
pub fn svg(group: &str, rows: &[Row]) -> String {
    let shown: Vec<(&Row, f64)> = rows.iter().filter_map(|r| Some((r, r.median()?))).collect();
    let most = shown.iter().map(|(r, _)| r.spread().1).fold(1.0, f64::max);
    let least = shown.iter().map(|(r, _)| r.spread().0).fold(f64::INFINITY, f64::min).max(0.1);
    let wide = most / least > 20.0;
    let at = |n: f64| {
        let share = if wide { (n / least).ln().max(0.0) / (most / least).ln() } else { n / most };
        LEFT + 4.0 + share * WIDTH
    };
    let height = 40.0 + BAR * shown.len() as f64;
    let unit = shown.first().map_or("", |(r, _)| r.unit.as_str());
    let scale = if wide { ", logarithmic" } else { "" };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"8\" y=\"18\" font-weight=\"bold\">{}: {}{scale}</text>\n",
        LEFT + WIDTH + 80.0,
        text(group),
        text(unit)
    );
    for (i, (row, median)) in shown.iter().enumerate() {
        let y = 30.0 + BAR * i as f64;
        let (least, most) = row.spread();
        let mid = y + 7.0;
        let _ = writeln!(
            out,
            "<text x=\"{LEFT}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"14\" fill=\"#4a7db5\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{mid:.1}\" y2=\"{mid:.1}\" stroke=\"black\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{median:.0}</text>",
            y + 11.0,
            text(&row.name),
            LEFT + 4.0,
            at(*median) - LEFT - 4.0,
            at(least),
            at(most),
            at(most) + 4.0,
            y + 11.0,
        );
    }
    out + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_with_samples_has_a_bar_and_names_are_escaped() {
        let row =
            |name: &str, samples: &[f64]| Row { name: name.to_owned(), samples: samples.to_vec(), ..Row::default() };
        let drawn = svg("g", &[row("a<b", &[1.0, 2.0, 3.0]), row("none", &[]), row("c", &[2.0])]);
        assert_eq!(drawn.matches("fill=\"#4a7db5\"").count(), 2);
        assert!(drawn.contains("a&lt;b") && !drawn.contains("none"));
    }
}
