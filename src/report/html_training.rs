//! What the page shows of trainings: snapshots over time, and charts.

use maud::{Markup, html};

use super::{
    data::ReportData,
    escape::anchor,
    heading::Heading,
    html_parts::{linked, section, stage_anchor, training_anchor},
    html_pictures::{Picture, figure},
    number::Digits,
    svg,
    training::{Chart, Snapshot, StageCurves},
};

/// Snapshots and small charts, stage by stage.
pub(super) fn training(data: &ReportData) -> Markup {
    let stages: Vec<&StageCurves> = data.curves.iter().filter(|stage| is_shown(stage)).collect();
    if stages.is_empty() {
        return Markup::default();
    }
    let contents = html! {
        @for stage in &stages {
            div.stage id=(training_anchor(&stage.stage)) {
                h3 {
                    a href=(format!("#{}", stage_anchor(&stage.stage))) { (stage.stage) } " "
                    span.tag { (stage.title) }
                } "\n"
                (strip(stage))
                div.charts { @for drawn in stage.charts.iter().filter_map(chart) { (drawn) "\n" } }
            } "\n"
        }
        (notes(stages.iter().flat_map(|stage| &stage.charts)))
    };
    section("Training", contents)
}

/// Whether there is something to be seen of a stage's training.
pub(super) fn is_shown(stage: &StageCurves) -> bool {
    !stage.snapshots.is_empty() || stage.charts.iter().any(|chart| svg::chart(chart).is_some())
}

/// What a generator made, moment after moment.
fn strip(stage: &StageCurves) -> Markup {
    let shown = &stage.snapshots;
    let alts: Vec<String> =
        shown.iter().map(|snapshot| format!("{} after {} kimg", stage.stage, snapshot.kimg)).collect();
    let id = |i: usize| format!("snapshot-{}-{i}", anchor(&stage.stage));
    let pictures = shown.iter().zip(&alts).enumerate();
    let pictures: Vec<Picture<'_>> =
        pictures.map(|(i, (snapshot, alt))| Picture { id: id(i), alt, png: &snapshot.png }).collect();
    let values = shown.iter().filter_map(|snapshot| Some(snapshot.measured.as_ref()?.1));
    let digits = Digits::of(values);
    let metric = shown.iter().find_map(|snapshot| Some(&snapshot.measured.as_ref()?.0));
    let title = metric.map(|metric| Heading::of(metric)).map(|of| format!("{}{}", of.title, of.arrow()));
    html! {
        @if !shown.is_empty() {
            div.strip tabindex="0" {
                @for (i, snapshot) in shown.iter().enumerate() {
                    (figure(&pictures, i, snapshot.is_best, moment(snapshot, digits))) "\n"
                }
            }
            p.notes {
                "The first images of each snapshot"
                @if shown.len() < stage.snapshots_taken { ", of " (shown.len()) " among " (stage.snapshots_taken) }
                @if let Some(title) = title { "; below the time, " (title) }
                "."
            } "\n"
        }
    }
}

/// When a snapshot was taken, and how good it is.
fn moment(snapshot: &Snapshot, digits: Digits) -> Markup {
    let time = format!("{} kimg", snapshot.kimg);
    html! {
        (linked(&time, snapshot.path.as_deref()))
        @if let Some((_, value)) = &snapshot.measured { small { (digits.write(*value)) } }
        @if snapshot.is_best { " " span.tag.best { "best" } }
        @if snapshot.is_handed_on { " " span.tag { "handed on" } }
    }
}

/// A chart with its title and, for more than one line, a legend; `None` where there is nothing to draw.
pub(super) fn chart(chart: &Chart) -> Option<Markup> {
    let drawing = svg::chart(chart)?;
    let unit = Some(chart.unit.as_str()).filter(|unit| !unit.is_empty());
    let log = svg::is_log(chart).then_some("log scale");
    let about: Vec<&str> = unit.into_iter().chain(log).collect();
    Some(html! {
        figure.card {
            figcaption {
                (chart.title) " " span.log { (about.join(", ")) }
                @if chart.lines.len() > 1 {
                    div.legend {
                        @for (i, line) in chart.lines.iter().enumerate() { span.(svg::colour(i)) { (line.label) } }
                    }
                }
            }
            (drawing)
        }
    })
}

/// How charts are to be read, once for all that are alike.
pub(super) fn notes<'a>(charts: impl Iterator<Item = &'a Chart>) -> Markup {
    let mut notes: Vec<(&str, &str)> = Vec::new();
    for chart in charts.filter(|chart| !chart.note.is_empty()) {
        let note = (chart.title.as_str(), chart.note.as_str());
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    html! { @for (title, note) in notes { p.notes { b { (title) ": " } (note) } } }
}
