//! A page: one HTML file that needs nothing from elsewhere, in light and dark, on wide and narrow screens.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::escape::plain;

const STYLE: [&str; 3] = [include_str!("style.css"), include_str!("pictures.css"), include_str!("print.css")];
/// No script, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// The whole page, with its title and what is in its body.
pub(super) fn page(title: &str, body: Markup) -> String {
    let page = html! {
        (DOCTYPE) "\n"
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) } "\n"
                style { (PreEscaped(STYLE.concat())) } "\n"
            }
            body { (body) }
        }
    };
    // The template escapes what would be markup; what no reader can see is left out of every line.
    page.into_string().lines().map(|line| plain(line) + "\n").collect()
}
