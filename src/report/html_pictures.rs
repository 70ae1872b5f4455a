//! Pictures that open large without a script: each is in the page once, and grows where it is what a link names.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{Markup, html};

use super::{
    data::{Grid, ReportData},
    escape::link,
    html_parts::{section, stage_anchor},
};

/// A picture of at most so many pixels across shows them as squares; those of a photograph are too many for that.
const SQUARES: u32 = 1024;

/// A picture among others, between which links lead back and forth.
pub(super) struct Picture<'a> {
    /// Its anchor, which no other part of the page has.
    pub(super) id: String,
    /// What a reader who cannot see it is told.
    pub(super) alt: &'a str,
    /// A PNG file's bytes.
    pub(super) png: &'a [u8],
}

impl Picture<'_> {
    /// Width and height from the first chunk; 0 where the file is none.
    fn size(&self) -> [u32; 2] {
        let side = |at: usize| {
            let bytes = self.png.get(at..at + 4).unwrap_or_default();
            bytes.iter().fold(0u32, |n, b| n << 8 | u32::from(*b))
        };
        [side(16), side(20)]
    }
}

/// Picture `i` of `all`, each in a figure of its own: large where it is named, with links to its neighbours and back.
fn picture(all: &[Picture<'_>], i: usize) -> Markup {
    let shown = &all[i];
    let id = &shown.id;
    let [width, height] = shown.size();
    let image = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(shown.png));
    let neighbours = [
        ("previous", "‹", i.checked_sub(1).and_then(|before| all.get(before))),
        ("next", "›", all.get(i + 1)),
    ];
    // The frame holds the picture's place while it is large; the links come first where a keyboard goes on.
    html! {
        div.frame id=(id) style=(format!("--shape:{}/{}", width.max(1), height.max(1))) {
            a.close href=(format!("#{id}-small")) aria-label="close" { "×" }
            @for (name, sign, neighbour) in neighbours {
                @if let Some(neighbour) = neighbour {
                    a.(name) href=(format!("#{}", neighbour.id)) aria-label=(format!("{name} picture")) { (sign) }
                }
            }
            a.open href=(format!("#{id}")) aria-label=(format!("{}, large", shown.alt)) {
                img.squares[width <= SQUARES] alt=(shown.alt) width=(width) height=(height) src=(image);
            }
        }
    }
}

/// A figure with what `picture` draws and a caption. Closing a large picture leads to it. One that is `marked` stands out.
pub(super) fn figure(all: &[Picture<'_>], i: usize, marked: bool, caption: Markup) -> Markup {
    html! {
        figure.marked[marked] id=(format!("{}-small", all[i].id)) {
            (picture(all, i))
            figcaption { (caption) }
        }
    }
}

/// Sample grids, each beside the others at the same size.
pub(super) fn samples(data: &ReportData) -> Markup {
    if data.grids.is_empty() {
        return Markup::default();
    }
    // Three beside one another are large enough to be read.
    let side = (1000 / data.grids.len()).saturating_sub(20).clamp(300, 460);
    let all = data.grids.iter().enumerate();
    let all: Vec<Picture<'_>> = all
        .map(|(i, grid)| Picture { id: format!("sample-{i}"), alt: &grid.caption, png: &grid.png })
        .collect();
    let grids = html! {
        div.grids style=(format!("--side:{side}px")) {
            @for (i, grid) in data.grids.iter().enumerate() { (figure(&all, i, grid.real, caption(grid))) "\n" }
        }
    };
    section("Samples", grids)
}

/// What a picture is, and where more is said of it.
fn caption(grid: &Grid) -> Markup {
    html! {
        @if grid.stage.is_empty() { (grid.caption) } @else { a href=(format!("#{}", stage_anchor(&grid.stage))) { (grid.caption) } }
        @if !grid.note.is_empty() || grid.path.is_some() {
            small {
                (grid.note)
                @if let Some(path) = &grid.path {
                    @if !grid.note.is_empty() { " · " }
                    a href=(link(path)) { "file" }
                }
            }
        }
    }
}
