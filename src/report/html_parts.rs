//! What the sections of all pages are made of.

use maud::{Markup, html};

use super::escape::{anchor, link};

/// A section; each begins a line of its own. Its title, in small letters, is its anchor.
pub(super) fn section(title: &str, contents: Markup) -> Markup {
    html! { section id=(anchor(&title.to_lowercase())) { h2 { (title) } "\n" (contents) } "\n" }
}

/// A name over a value.
pub(super) fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// A name that leads somewhere beside the page, where there is something.
pub(super) fn linked(name: &str, path: Option<&str>) -> Markup {
    html! { @if let Some(path) = path { a href=(link(path)) { (name) } } @else { (name) } }
}

/// The anchor of what a page says of a stage: its run and its settings.
pub(super) fn stage_anchor(stage: &str) -> String {
    format!("stage-{}", anchor(stage))
}

/// The anchor of a stage's training.
pub(super) fn training_anchor(stage: &str) -> String {
    format!("training-{}", anchor(stage))
}

/// Class and sign of what is met or not.
pub(super) fn sign(pass: bool) -> (&'static str, &'static str) {
    if pass { ("pass", "✓") } else { ("fail", "✗") }
}
