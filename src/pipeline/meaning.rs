//! What stages mean to each other: references and their kinds, cycles, and what each stage says of the others.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::{
    document::{Document, dotted, escape},
    mistake::Mistake,
    origin::Origin,
};
use crate::{
    location::Location,
    stage_name::StageName,
    stages::{Input, Kind, Objection, StageSpec, World},
    suggestion::{advice, closest, listed},
};

/// The stages of a document, as far as they could be read.
pub(super) struct Stages<'a> {
    pub(super) document: &'a Document,
    /// Every stage's verb, readable or not.
    pub(super) verbs: IndexMap<String, String>,
    /// Those that could be read.
    pub(super) specs: IndexMap<StageName, StageSpec>,
    /// Where relative paths are looked for.
    pub(super) search: &'a [PathBuf],
}

impl Stages<'_> {
    /// Everything that is wrong between stages and between their fields.
    pub(super) fn mistakes(&self) -> Vec<Mistake> {
        let world = World { stages: &self.specs, search: self.search };
        let mut mistakes = Vec::new();
        for (name, spec) in &self.specs {
            let mut objections = spec.stage().check();
            objections.extend(spec.stage().agrees(&world));
            objections.extend(spec.stage().locations().into_iter().filter_map(unresolvable));
            mistakes.extend(objections.into_iter().map(|objection| self.mistake(name, spec, objection)));
            mistakes.extend(self.references(name, spec));
        }
        mistakes.extend(self.cycles());
        mistakes
    }

    fn pointer(name: &StageName, spec: &StageSpec, field: &str) -> String {
        let stage = format!("/stages/{}/{}", escape(name.as_str()), spec.verb());
        if field.is_empty() { stage } else { format!("{stage}/{field}") }
    }

    fn mistake(&self, name: &StageName, spec: &StageSpec, objection: Objection) -> Mistake {
        let pointer = Self::pointer(name, spec, &objection.field);
        let whole =
            self.document.value.pointer(&pointer).is_some_and(|value| value.is_object() || value.is_array());
        let at = if whole { Mistake::at_key } else { Mistake::at_value };
        at(self.document, &pointer, objection.problem).help(objection.help)
    }

    // ------------------------------------------------------------------ references

    /// What is wrong with the references of a stage.
    pub(super) fn references(&self, name: &StageName, spec: &StageSpec) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for input in spec.stage().inputs() {
            let wanted = input.stage.as_str();
            let fitting: Vec<&str> = self
                .verbs
                .iter()
                .filter(|(other, verb)| {
                    StageSpec::makes(verb) == Some(input.kind) && other.as_str() != name.as_str()
                })
                .map(|(other, _)| other.as_str())
                .collect();
            let objection = match self.verbs.get(wanted) {
                None if let Some(mistake) = self.removed(name, spec, &input) => {
                    mistakes.push(mistake);
                    continue;
                }
                None => {
                    let all: Vec<&str> = self.verbs.keys().map(String::as_str).collect();
                    let known =
                        if closest(wanted, fitting.iter().copied()).is_some() { &fitting } else { &all };
                    Objection {
                        help: advice(wanted, known),
                        ..Objection::new(input.field, format!("there is no stage `{wanted}`"))
                    }
                }
                Some(_) if wanted == name.as_str() => {
                    Objection::new(input.field, format!("stage `{wanted}` refers to itself"))
                }
                Some(verb) => match StageSpec::makes(verb) {
                    Some(kind) if kind != input.kind => {
                        let help = if fitting.is_empty() {
                            format!("no stage makes {}", input.kind)
                        } else {
                            format!(
                                "{} {} made by {}",
                                input.kind,
                                if input.kind == Kind::Images || input.kind == Kind::Scores {
                                    "are"
                                } else {
                                    "is"
                                },
                                listed(&fitting)
                            )
                        };
                        Objection::new(
                            input.field,
                            format!(
                                "`{wanted}` is a `{verb}` stage and makes {kind}, but {} is needed here",
                                input.kind
                            ),
                        )
                        .help(help)
                    }
                    _ => continue,
                },
            };
            mistakes.push(self.mistake(name, spec, objection));
        }
        mistakes
    }

    /// A reference to a stage that a derived pipeline removes, said where it does so.
    fn removed(&self, name: &StageName, spec: &StageSpec, input: &Input<'_>) -> Option<Mistake> {
        let reader = Self::pointer(name, spec, &input.field);
        let stage = format!("/stages/{}", escape(input.stage.as_str()));
        let (Origin::Written(place), "") = self.document.origin(&stage)? else { return None };
        let in_base = self.document.origin(&reader).is_none();
        let mistake = Mistake::at_value(
            &place.document,
            &place.value,
            format!("`{}` is removed, but `{name}` reads it", input.stage),
        );
        in_base.then(|| mistake.help(Some(format!("set `{}`, or remove `{name}`, too", dotted(&reader)))))
    }

    fn cycles(&self) -> Vec<Mistake> {
        let mut finished: Vec<&StageName> = Vec::new();
        let mut mistakes = Vec::new();
        for name in self.specs.keys() {
            self.descend(name, &mut Vec::new(), &mut finished, &mut mistakes);
        }
        mistakes
    }

    fn descend<'b>(
        &'b self,
        name: &'b StageName,
        path: &mut Vec<&'b StageName>,
        finished: &mut Vec<&'b StageName>,
        mistakes: &mut Vec<Mistake>,
    ) {
        let Some((name, spec)) = self.specs.get_key_value(name) else { return };
        if finished.contains(&name) {
            return;
        }
        path.push(name);
        for input in spec.stage().inputs() {
            match path.iter().position(|on_path| *on_path == input.stage) {
                // A stage that refers to itself is said elsewhere.
                Some(_) if input.stage == name => {}
                Some(start) => {
                    let circle: Vec<&str> =
                        path[start..].iter().map(|n| n.as_str()).chain([input.stage.as_str()]).collect();
                    let objection = Objection::new(
                        input.field,
                        format!("stages wait for each other: {}", circle.join(" -> ")),
                    );
                    mistakes.push(self.mistake(name, spec, objection));
                }
                None => self.descend(input.stage, path, finished, mistakes),
            }
        }
        path.pop();
        finished.push(name);
    }
}

/// The folders in which relative paths are looked for: the working directory, then the file's folder and those above.
pub(super) fn search_folders(file: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::current_dir().into_iter().collect();
    if let Ok(absolute) = std::path::absolute(file) {
        folders.extend(absolute.ancestors().skip(1).map(Path::to_path_buf));
    }
    folders
}

fn unresolvable((field, location): (String, &Location)) -> Option<Objection> {
    location.resolve().err().map(|error| Objection::new(field, error.to_string()))
}
