//! The table as a picture: how much of the other's work each row of ours takes.

use std::fmt::Write;

use super::{Line, median};

const ROW: f64 = 26.0;
/// Wide enough for the longest label.
const LABELS: f64 = 670.0;
const BARS: f64 = 360.0;
const MARGIN: f64 = 16.0;
const HEAD: f64 = 64.0;
/// The scale is logarithmic, from an eighth to eight times.
const OCTAVES: f64 = 3.0;

fn x(ratio: f64) -> f64 {
    let octaves = ratio.max(0.01).log2().clamp(-OCTAVES, OCTAVES);
    LABELS + BARS * (octaves + OCTAVES) / (2.0 * OCTAVES)
}

fn escaped(text: &str) -> String {
    text.replace('`', "").replace('&', "&amp;").replace('<', "&lt;")
}

/// An SVG image without scripts, fonts or anything from elsewhere.
pub fn svg(version: &str, lines: &[Line]) -> String {
    let (width, height) = (LABELS + BARS + 90.0, HEAD + ROW * lines.len() as f64 + MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{}: work of ours as a multiple of the other's</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"15\" fill=\"#222\">{}: ours as a multiple of the other, one run, medians</text>\n",
        escaped(version),
        escaped(version)
    );
    for (ratio, label) in [
        (0.125, "1/8"),
        (0.25, "1/4"),
        (0.5, "1/2"),
        (1.0, "1"),
        (2.0, "2"),
        (4.0, "4"),
        (8.0, "8"),
    ] {
        let (at, bottom) = (x(ratio), height - MARGIN);
        let color = if ratio == 1.0 { "#444" } else { "#ddd" };
        let _ = writeln!(
            out,
            "<line x1=\"{at}\" y1=\"{HEAD}\" x2=\"{at}\" y2=\"{bottom}\" stroke=\"{color}\"/>\
             <text x=\"{at}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666\">{label}</text>",
            HEAD - 8.0
        );
    }
    for (nth, line) in lines.iter().enumerate() {
        let ratio = median(line.ratios.clone());
        let (top, start, end) = (HEAD + ROW * nth as f64, x(1.0), x(ratio));
        let middle = top + ROW / 2.0;
        let color = if ratio <= line.target { "#4a8f5b" } else { "#c97b2a" };
        let (left, wide) = (start.min(end), (end - start).abs().max(1.0));
        let label = escaped(&format!("{}  /  {}", line.work, line.against));
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#222\" font-size=\"11\">{label}</text>\
             <rect x=\"{left:.1}\" y=\"{}\" width=\"{wide:.1}\" height=\"{}\" fill=\"{color}\"/>\
             <line x1=\"{target:.1}\" y1=\"{}\" x2=\"{target:.1}\" y2=\"{}\" stroke=\"#222\" stroke-width=\"2\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"#222\">{ratio:.2}</text>",
            LABELS - 10.0,
            middle + 4.0,
            top + 5.0,
            ROW - 10.0,
            top + 3.0,
            top + ROW - 3.0,
            LABELS + BARS + 14.0,
            middle + 4.0,
            target = x(line.target),
        );
    }
    out.push_str("</svg>\n");
    out
}
