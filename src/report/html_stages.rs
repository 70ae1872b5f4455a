//! The stages of the page: how each came about, with its settings folded below; and where all comes from.

use maud::{Markup, html};

use super::{
    data::{ReportData, StageSettings},
    escape::link,
    html_parts::{fact, section, stage_anchor, training_anchor},
    html_training::is_shown,
    number::{duration, memory, rate},
    provenance::StageRun,
};

/// Every stage once, in the order in which they ran; then those of which nothing but settings is known.
pub(super) fn stages(data: &ReportData) -> Markup {
    let runs = &data.provenance.stages;
    let of = |name: &str| data.settings.iter().find(|settings| settings.stage == name);
    let others = data.settings.iter().filter(|settings| runs.iter().all(|run| run.stage != settings.stage));
    if runs.is_empty() && data.settings.is_empty() {
        return Markup::default();
    }
    let trained = |name: &str| data.curves.iter().any(|stage| stage.stage == name && is_shown(stage));
    let contents = html! {
        div.card.stages {
            @for run in runs { (stage(run, of(&run.stage), trained(&run.stage))) "\n" }
            @for settings in others {
                @let run = StageRun { stage: settings.stage.clone(), verb: settings.verb.clone(), ..StageRun::default() };
                (stage(&run, Some(settings), false)) "\n"
            }
        }
        p.notes { (about(runs)) }
    };
    section("Stages", contents)
}

fn stage(run: &StageRun, settings: Option<&StageSettings>, trained: bool) -> Markup {
    let known = |value: Option<f64>, write: fn(f64) -> String| value.map(write).unwrap_or_default();
    let key: String = run.key.chars().take(12).collect();
    html! {
        details id=(stage_anchor(&run.stage)) {
            summary {
                span.who { (run.stage) " " span.tag { (run.verb) } }
                span.num { (known(run.seconds, duration)) }
                span.num { (known(run.images_per_second, rate)) }
                span.num { (known(run.peak_memory_mib, memory)) }
                span.mono.soft { (key) }
            }
            dl.facts {
                @for (name, value) in [("Made", &run.date), ("Device", &run.device), ("Key", &run.key)] {
                    @if !value.is_empty() { (fact(name, value)) }
                }
                @if let Some(folder) = &run.folder { div { dt { "Folder" } dd { a href=(link(folder)) { (folder) } } } }
                @if trained { div { dt { "Curves" } dd { a href=(format!("#{}", training_anchor(&run.stage))) { "Training" } } } }
            }
            @if let Some(settings) = settings {
                pre { (serde_json::to_string_pretty(&settings.values).expect("a value is JSON")) }
            }
        }
    }
}

/// What the numbers beside the stages are.
fn about(runs: &[StageRun]) -> String {
    let mut about = vec!["Wall time, over all processes that worked on the stage."];
    if runs.iter().any(|run| run.images_per_second.is_some()) {
        about.push("Images/s: of a training the median of its statistics, else of the wall time.");
    }
    if runs.iter().any(|run| run.peak_memory_mib.is_some()) {
        about.push("Memory: the most of the machine's that the process held while the stage ran, without a GPU's own.");
    }
    about.join(" ")
}

/// Versions, and what was asked for.
pub(super) fn provenance(data: &ReportData) -> Markup {
    let facts =
        html! { dl.versions { @for (name, value) in data.provenance.facts() { (fact(name, value)) } } "\n" };
    section("Provenance", facts)
}
