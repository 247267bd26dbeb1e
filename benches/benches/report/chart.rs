//! Bars: how the serializers compare with JSON.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

/// Legible on light and dark pages, also for those who see few colours.
const COLOURS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(230, 159, 0)];
const NAMES: [&str; 2] = ["MessagePack", "postcard"];
const SIZE: (u32, u32) = (900, 720);

/// Draws a panel for each title, with a pair of bars for each value.
pub(super) fn draw(file: &Path, values: &[&str], panels: &[(String, Vec<[f64; 2]>)]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let area = area.titled("Compared with JSON (= 1); less is better", ("sans-serif", 20))?;
    for (area, (title, ratios)) in area.split_evenly((panels.len(), 1)).iter().zip(panels) {
        panel(area, values, title, ratios)?;
    }
    area.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(area: &Area<'_>, values: &[&str], title: &str, ratios: &[[f64; 2]]) -> Result<(), Box<dyn Error>> {
    let highest = ratios.iter().flatten().copied().fold(1.0, f64::max) * 1.15;
    let mut chart = ChartBuilder::on(area)
        .margin_left(10)
        .margin_right(20)
        .margin_top(6)
        .caption(title, ("sans-serif", 16))
        .x_label_area_size(26)
        .y_label_area_size(40)
        .build_cartesian_2d(0.0..values.len() as f64, 0.0..highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(4)
        .y_label_formatter(&|ratio| format!("{ratio:.1}"))
        .label_style(("sans-serif", 13))
        .light_line_style(TRANSPARENT)
        .draw()?;
    chart.draw_series(LineSeries::new([(0.0, 1.0), (values.len() as f64, 1.0)], BLACK.stroke_width(1)))?;
    for (bar, (colour, name)) in COLOURS.into_iter().zip(NAMES).enumerate() {
        let left = |value: usize| value as f64 + 0.18 + 0.32 * bar as f64;
        let bars = ratios.iter().enumerate().map(|(value, ratios)| {
            Rectangle::new([(left(value), 0.0), (left(value) + 0.3, ratios[bar])], colour.filled())
        });
        chart
            .draw_series(bars)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
        let figures = ratios.iter().enumerate().map(|(value, ratios)| {
            let style = ("sans-serif", 12).into_font().color(&BLACK);
            Text::new(format!("{:.2}", ratios[bar]), (left(value) + 0.05, ratios[bar] + highest * 0.1), style)
        });
        chart.draw_series(figures)?;
    }
    let style = ("sans-serif", 13).into_font().color(&BLACK);
    for (index, value) in values.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(index as f64 + 0.18, 0.0));
        let (left, top) = area.get_base_pixel();
        area.draw(&Text::new((*value).to_owned(), (x - left, y - top + 8), style.clone()))?;
    }
    let labels = SeriesLabelPosition::UpperRight;
    chart.configure_series_labels().position(labels).background_style(WHITE).label_font(("sans-serif", 13)).draw()?;
    Ok(())
}
