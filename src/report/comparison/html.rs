//! The comparison as a page of its own, with the pictures and curves of both sides.

use maud::{Markup, html as markup};

use super::{
    Comparison, NAMES,
    curves::overlaid,
    scores::ScorePair,
    side::{ComparedStage, Side},
    text::verdict,
    value::written,
};
use crate::report::{
    heading::Heading,
    html_parts::{fact, section},
    html_pictures::{Picture, figure},
    html_training::{chart, notes},
    number::{DASH, duration},
    page::page,
};

/// The whole page.
pub fn html(comparison: &Comparison<'_>) -> String {
    let [a, b] = [comparison.a, comparison.b].map(|side| side.identity.what.as_str());
    let title = format!("{a} and {b}");
    let body = markup! {
        header {
            p.kicker { "Comparison" }
            h1 { (title) }
            div.verdict.none { div { p { (summary(comparison)) } } } "\n"
            div.sides { (who(comparison.a, 0)) (who(comparison.b, 1)) } "\n"
        }
        main {
            (scores(comparison))
            (settings(comparison))
            (pictures(comparison))
            (curves(comparison))
            (wall_times(comparison))
        }
        footer { "Written by sida " (env!("CARGO_PKG_VERSION")) }
    };
    page(&title, body)
}

/// How many of what differ, and how many scores do by more than chance.
fn summary(comparison: &Comparison<'_>) -> String {
    if comparison.is_same() {
        return "Nothing differs.".to_owned();
    }
    let differing =
        || comparison.scores.iter().filter(|pair| !pair.is_same()).filter_map(ScorePair::difference);
    let judged =
        |is: Option<bool>| differing().filter(|difference| difference.is_beyond_spread() == is).count();
    let both = comparison.scores.iter().filter_map(ScorePair::difference).count();
    let one_sided = comparison.pairs.iter().filter(|pair| pair.both().is_none()).count();
    let pictures = comparison.shared().filter(|(pair, _)| pair.same_picture() == Some(false)).count();
    let counts = [
        (comparison.settings.len(), "setting", ""),
        (judged(Some(true)), "score", " by more than the spread"),
        (judged(Some(false)), "score", " within the spread"),
        (judged(None), "score", " by an unknown spread"),
        (comparison.scores.len() - both, "score", " that only one side has"),
        (pictures, "picture", ""),
        (one_sided, "stage", " that only one side has"),
    ];
    let said = counts.into_iter().filter(|(count, ..)| *count > 0);
    let said =
        said.map(|(count, what, how)| format!("{count} {what}{}{how}", if count == 1 { "" } else { "s" }));
    format!("What differs: {}.", said.collect::<Vec<_>>().join(", "))
}

fn who(side: &Side, i: usize) -> Markup {
    let identity = &side.identity;
    markup! {
        div.card.side.{ "c" (i) } {
            h3 { span.letter { (NAMES[i]) } " " (identity.what) }
            p.mono.soft { (identity.path) }
            dl.facts { @for (name, value) in identity.facts() { (fact(name, &value)) } }
        }
    }
}

fn scores(comparison: &Comparison<'_>) -> Markup {
    if comparison.scores.is_empty() {
        return Markup::default();
    }
    let contents = markup! {
        div.card.scroll {
            table.compared {
                thead { tr { th {} th.num { "A" } th.num { "B" } th.num { "B − A" } th.num { "Change" } th {} } } "\n"
                tbody {
                    @for pair in &comparison.scores {
                        @let [a, b, difference, change] = pair.written().map(|text| text.replace("± ", "±\u{a0}"));
                        @let heading = Heading::of(pair.metric);
                        tr {
                            th scope="row" title=(heading.title) { (pair.stage.unwrap_or_default()) small { (heading.name) (heading.sign(["\u{a0}↓", "\u{a0}↑"])) } }
                            td.num { (a) } td.num { (b) } td.num { (difference) } td.num { (change) }
                            td { (pair.words()) }
                        } "\n"
                    }
                }
            }
        }
        p.notes { "Mean ± standard deviation over the trials, as in reports. Whether a difference is larger than the spread is judged by the sample deviations of both together." }
    };
    section("Scores", contents)
}

fn settings(comparison: &Comparison<'_>) -> Markup {
    let contents = markup! {
        @if comparison.settings.is_empty() { p { "All settings are the same." } } @else {
            div.card.scroll {
                table.changes {
                    thead { tr { th { "Setting" } th { "A" } th { "B" } } } "\n"
                    tbody {
                        @for pair in &comparison.settings {
                            tr {
                                td.mono { (pair.path) }
                                @for value in &pair.of { td.mono.soft[value.is_none()] { (written(value.as_ref())) } }
                            } "\n"
                        }
                    }
                }
            }
        }
        @for (i, letter) in NAMES.iter().enumerate() {
            @let only: Vec<String> = comparison.only(i).map(|(name, stage)| format!("{name} ({})", stage.verb)).collect();
            @if !only.is_empty() { p.notes { "Only in " (letter) ": " (only.join(", ")) } }
        }
    };
    section("Settings that differ", contents)
}

/// A on the left, B on the right; what is the same is shown once, after what is not.
fn pictures(comparison: &Comparison<'_>) -> Markup {
    let pictured = comparison.shared().filter_map(|(pair, stages)| Some((pair, stages, verdict(pair)?)));
    let (same, other): (Vec<_>, Vec<_>) = pictured.partition(|(pair, ..)| pair.same_picture() == Some(true));
    if same.is_empty() && other.is_empty() {
        return Markup::default();
    }
    let contents = markup! {
        @for (i, (pair, _, verdict)) in other.into_iter().enumerate() {
            div.stage {
                h3 { (pair.title()) " " span.tag { (verdict) } } "\n"
                div.grids.pair {
                    @let captions: Vec<String> =
                        pair.of.iter().flatten().zip(NAMES).map(|((name, _), letter)| format!("{letter}: {name}")).collect();
                    @let stages = pair.of.iter().flatten().map(|(_, stage)| *stage);
                    (figures(&format!("picture-{i}"), &stages.zip(captions).collect::<Vec<_>>()))
                }
            } "\n"
        }
        @if !same.is_empty() {
            div.stage {
                h3 { "The same images on both sides" } "\n"
                div.grids style="--side:220px" {
                    @let same = same.iter().map(|(pair, stages, _)| (stages[0], pair.title()));
                    (figures("same", &same.collect::<Vec<_>>()))
                }
            } "\n"
        }
    };
    section("Pictures", contents)
}

/// The pictures of stages with their captions; `name` begins their anchors.
fn figures(name: &str, of: &[(&ComparedStage, String)]) -> Markup {
    let shown = of.iter().filter_map(|(stage, caption)| Some((stage.picture.as_ref()?, caption)));
    let pictures: Vec<Picture<'_>> = shown
        .clone()
        .enumerate()
        .map(|(i, (picture, caption))| Picture { id: format!("{name}-{i}"), alt: caption, png: &picture.png })
        .collect();
    let absent = of.iter().filter(|(stage, _)| stage.picture.is_none());
    markup! {
        @for (i, (picture, caption)) in shown.enumerate() {
            (figure(&pictures, i, false, markup! { (caption) small { (picture.name) } })) "\n"
        }
        @for (_, caption) in absent { figure { figcaption { (caption) ": " (DASH) } } "\n" }
    }
}

/// Of stages that both sides trained, each its own; one and the same has nothing to compare.
fn curves(comparison: &Comparison<'_>) -> Markup {
    let trained = comparison.shared().filter(|(_, [a, b])| !a.charts.is_empty() || !b.charts.is_empty());
    let (same, other): (Vec<_>, Vec<_>) = trained.partition(|(_, [a, b])| a.charts == b.charts);
    if other.is_empty() {
        return Markup::default();
    }
    let same: Vec<String> = same.iter().map(|(pair, _)| pair.title()).collect();
    let drawn = other.into_iter().map(|(pair, stages)| (pair.title(), &stages[0].verb, overlaid(stages)));
    let drawn: Vec<_> = drawn.collect();
    let contents = markup! {
        @for (title, verb, charts) in &drawn {
            div.stage {
                h3 { (title) " " span.tag { (verb) } } "\n"
                div.charts { @for drawn in charts.iter().filter_map(chart) { (drawn) "\n" } }
            } "\n"
        }
        (notes(drawn.iter().flat_map(|(.., charts)| charts)))
        @if !same.is_empty() { p.notes { "The same curves on both sides: " (same.join(", ")) } }
    };
    section("Training", contents)
}

fn wall_times(comparison: &Comparison<'_>) -> Markup {
    let times = comparison.wall_times();
    if times.is_empty() {
        return Markup::default();
    }
    let contents = markup! {
        div.card.scroll {
            table {
                thead { tr { th {} th.num { "A" } th.num { "B" } } } "\n"
                tbody {
                    @for (stage, times) in times {
                        tr {
                            th scope="row" { (stage) }
                            @for seconds in times { td.num { (seconds.map_or(DASH.to_owned(), duration)) } }
                        } "\n"
                    }
                }
            }
        }
    };
    section("Wall time", contents)
}
