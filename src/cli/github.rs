//! What GitHub is told where it runs the program: annotations at the lines of a file, and a summary of the step.

use std::{
    env,
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{Error, pipeline::Mistake, secret, terminal};

/// Whether GitHub runs the program.
pub(super) fn is_here() -> bool {
    terminal::is_github()
}

/// Annotates an error: each mistake of a file at its place, anything else without one. What was expected and not met was
/// said before, and a run that was stopped has not failed. `json` where results on standard output are one JSON object.
pub(super) fn error(error: &Error, json: bool) {
    match error {
        _ if !is_here() => {}
        Error::ExpectationsNotMet { .. } | Error::Interrupted => {}
        Error::Mistakes { mistakes, .. } => {
            mistakes.iter().for_each(|mistake| annotate(mistake, "mistake", json));
        }
        other => annotate(&serde_json::json!({ "message": other.to_string() }), "failed", json),
    }
}

/// Annotates what is wrong at places of files.
pub(super) fn mistakes(mistakes: &[Mistake], title: &str, json: bool) {
    let values = mistakes.iter().filter_map(|mistake| serde_json::to_value(mistake).ok());
    values.for_each(|mistake| annotate(&mistake, title, json));
}

/// Annotates a whole file.
pub(super) fn file(path: &Path, message: &str, title: &str, json: bool) {
    if is_here() {
        annotate(&serde_json::json!({ "file": path.to_string_lossy(), "message": message }), title, json);
    }
}

/// Appends Markdown to the summary of the step.
pub(super) fn summarize(markdown: &str) {
    let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| is_here() && !path.is_empty()) else {
        return;
    };
    let path = PathBuf::from(path);
    let written = OpenOptions::new().create(true).append(true).open(&path);
    let text = secret::masked(markdown);
    if let Err(error) = written.and_then(|mut file| writeln!(file, "{text}")) {
        tracing::warn!("cannot write the summary `{}`: {error}", terminal::path(&path));
    }
}

/// One annotation, of a mistake as JSON shows it.
fn annotate(mistake: &Value, title: &str, json: bool) {
    terminal::command(&command(mistake, title, env::var_os("GITHUB_WORKSPACE").map(PathBuf::from)), json);
}

/// `::error file=a.yaml,line=3,col=5,title=mistake::there is no stage `x` (did you mean `y`?)`
fn command(mistake: &Value, title: &str, workspace: Option<PathBuf>) -> String {
    let text = |key: &str| mistake.get(key).and_then(Value::as_str);
    let mut properties = Vec::new();
    // What was typed stands in no file.
    if let Some(file) = text("file").filter(|_| text("origin").is_none()) {
        properties.push(format!("file={}", property(&below(file, workspace))));
        for (name, key) in [("line", "line"), ("col", "column")] {
            properties.extend(mistake.get(key).and_then(Value::as_u64).map(|at| format!("{name}={at}")));
        }
    }
    properties.push(format!("title={}", property(title)));
    let mut message = text("origin").map(|origin| format!("{origin}: ")).unwrap_or_default();
    message += text("message").unwrap_or_default();
    message += &text("help").map(|help| format!(" ({help})")).unwrap_or_default();
    format!("::error {}::{}", properties.join(","), data(&secret::masked(&message)))
}

/// A file as GitHub calls it: seen from the root of the repository.
fn below(file: &str, workspace: Option<PathBuf>) -> String {
    let absolute = std::path::absolute(file).unwrap_or_default();
    let below =
        workspace.and_then(|root| Some(absolute.strip_prefix(root).ok()?.to_string_lossy().into_owned()));
    below.unwrap_or_else(|| file.to_owned())
}

/// Text after the `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn other_peoples_text_starts_no_command_and_ends_no_property() {
        let mistake = json!({
            "file": "a,b:c%\n::set-output name=x::y.yaml", "line": 3, "column": 5,
            "message": "100 %\r\n::error::gotcha", "help": "did you mean `y`?", "origin": null,
        });
        assert_eq!(
            command(&mistake, "a: b", None),
            "::error file=a%2Cb%3Ac%25%0A%3A%3Aset-output name=x%3A%3Ay.yaml,line=3,col=5,title=a%3A b::\
             100 %25%0D%0A::error::gotcha (did you mean `y`?)"
        );
    }

    #[test]
    fn what_was_typed_has_no_place_and_files_are_seen_from_the_root() {
        let typed = json!({ "file": "the command line", "line": 1, "column": 1, "message": "no", "origin": "`--set a=1`" });
        assert_eq!(command(&typed, "mistake", None), "::error title=mistake::`--set a=1`: no");
        let here = env::current_dir().unwrap();
        let in_repository = json!({ "file": "ci/a.yaml", "message": "no" });
        let folder = here.file_name().unwrap().to_string_lossy().into_owned();
        let seen = command(&in_repository, "mistake", here.parent().map(Path::to_path_buf));
        assert_eq!(seen, format!("::error file={folder}/ci/a.yaml,title=mistake::no"));
        let secret = json!({ "message": "cannot download https://u:p@h/a" });
        assert_eq!(
            command(&secret, "failed", None),
            "::error title=failed::cannot download https://***:***@h/a"
        );
    }
}
