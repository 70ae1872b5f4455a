//! What stages mean to each other: references and their kinds, cycles, and what each stage says of the others.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::{
    baselines::Baselines,
    document::{Document, dotted, escape},
    mistake::Mistake,
    origin::Origin,
};
use crate::{
    location::Location,
    stage_name::StageName,
    stages::{Input, Kind, Objection, StageSpec, World},
    suggestion::{Adviser, closest, listed},
};

/// Stages of a circle that are listed.
const LISTED: usize = 12;

/// The stages of a document, as far as they could be read.
pub(super) struct Stages<'a> {
    pub(super) document: &'a Document,
    /// Every stage's verb, readable or not.
    pub(super) verbs: &'a IndexMap<String, String>,
    /// Those that could be read.
    pub(super) specs: IndexMap<StageName, StageSpec>,
    /// Where files are looked for, and those that measured values are compared with.
    pub(super) baselines: &'a Baselines<'a>,
}

impl Stages<'_> {
    /// Everything that is wrong between stages and between their fields.
    pub(super) fn mistakes(mut self) -> Vec<Mistake> {
        let mut recalled = Vec::new();
        for (name, spec) in &mut self.specs {
            recalled.extend(self.baselines.recall(name, spec).into_iter().map(|said| (name.clone(), said)));
        }
        let said = |(name, objection)| self.mistake(&name, &self.specs[&name], objection);
        let mut mistakes: Vec<Mistake> = recalled.into_iter().map(said).collect();
        let world = World { stages: &self.specs, search: self.baselines.search };
        let names = Names::of(self.verbs);
        for (name, spec) in &self.specs {
            let mut objections = spec.stage().check();
            objections.extend(spec.stage().agrees(&world));
            objections.extend(spec.stage().locations().into_iter().filter_map(unresolvable));
            mistakes.extend(objections.into_iter().map(|objection| self.mistake(name, spec, objection)));
            mistakes.extend(self.references(name, spec, &names));
        }
        mistakes.extend(self.cycles());
        mistakes
    }

    fn mistake(&self, name: &StageName, spec: &StageSpec, objection: Objection) -> Mistake {
        mistake(self.document, name, spec, objection)
    }

    // ------------------------------------------------------------------ references

    /// What is wrong with the references of a stage.
    fn references(&self, name: &StageName, spec: &StageSpec, names: &Names<'_>) -> Vec<Mistake> {
        let wrong = |input: Input<'_>| {
            let wanted = input.stage.as_str();
            let kind = input.kind;
            let objection = match self.verbs.get(wanted) {
                None => match self.removed(name, spec, &input) {
                    Some(mistake) => return Some(mistake),
                    None => Objection {
                        help: names.adviser.advice(wanted, || names.meant(wanted, kind, name)),
                        ..Objection::new(input.field, format!("there is no stage `{wanted}`"))
                    },
                },
                Some(_) if wanted == name.as_str() => {
                    Objection::new(input.field, format!("stage `{wanted}` refers to itself"))
                }
                Some(verb) => {
                    let makes = StageSpec::makes(verb).filter(|makes| *makes != kind)?;
                    let problem = format!(
                        "`{wanted}` is a `{verb}` stage and makes {makes}, but {kind} is needed here"
                    );
                    let are = if matches!(kind, Kind::Images | Kind::Scores) { "are" } else { "is" };
                    let help = match &names.making(kind, name)[..] {
                        [] => format!("no stage makes {kind}"),
                        fitting => format!("{kind} {are} made by {}", listed(fitting)),
                    };
                    Objection::new(input.field, problem).help(help)
                }
            };
            Some(self.mistake(name, spec, objection))
        };
        spec.stage().inputs().into_iter().filter_map(wrong).collect()
    }

    /// A reference to a stage that a derived pipeline removes, said where it does so.
    fn removed(&self, name: &StageName, spec: &StageSpec, input: &Input<'_>) -> Option<Mistake> {
        let reader = pointer(name, spec, &input.field);
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

    /// Stages that wait for each other, one mistake per circle.
    fn cycles(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut seen = vec![false; self.specs.len()];
        // The place on the path of each stage that is on it.
        let mut places: Vec<Option<usize>> = vec![None; self.specs.len()];
        for start in 0..self.specs.len() {
            let mut path: Vec<(usize, std::vec::IntoIter<Input<'_>>)> = Vec::new();
            let mut next = Some(start).filter(|start| !seen[*start]);
            loop {
                if let Some(stage) = next.take() {
                    seen[stage] = true;
                    places[stage] = Some(path.len());
                    path.push((stage, self.specs[stage].stage().inputs().into_iter()));
                }
                let Some((stage, inputs)) = path.last_mut() else { break };
                let Some(input) = inputs.next() else {
                    places[*stage] = None;
                    path.pop();
                    continue;
                };
                match self.specs.get_index_of(input.stage) {
                    // A stage that refers to itself is said elsewhere.
                    Some(other) if other == *stage => {}
                    Some(other) => match places[other] {
                        Some(first) => mistakes.push(self.circle(&path[first..], input)),
                        None => next = Some(other).filter(|other| !seen[*other]),
                    },
                    None => {}
                }
            }
        }
        mistakes
    }

    /// A circle, whose last stage reads its first one.
    fn circle<T>(&self, circle: &[(usize, T)], input: Input<'_>) -> Mistake {
        let name =
            |(stage, _): &(usize, T)| self.specs.get_index(*stage).map_or("", |(name, _)| name.as_str());
        let mut names: Vec<&str> = circle.iter().take(LISTED).map(name).collect();
        if circle.len() > LISTED {
            names.extend(["...", name(&circle[circle.len() - 1])]);
        }
        names.push(input.stage.as_str());
        let problem = format!("stages wait for each other: {}", names.join(" -> "));
        let (name, spec) = self.specs.get_index(circle[circle.len() - 1].0).expect("a stage of these");
        self.mistake(name, spec, Objection::new(input.field, problem))
    }
}

/// The names of all stages, for advice.
struct Names<'a> {
    all: Vec<&'a str>,
    making: Vec<(Kind, Vec<&'a str>)>,
    adviser: Adviser,
}

impl<'a> Names<'a> {
    fn of(verbs: &'a IndexMap<String, String>) -> Self {
        let all = verbs.keys().map(String::as_str).collect();
        let mut making: Vec<(Kind, Vec<&str>)> = Vec::new();
        for (name, verb) in verbs {
            let Some(kind) = StageSpec::makes(verb) else { continue };
            match making.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, names)) => names.push(name),
                None => making.push((kind, vec![name])),
            }
        }
        Self { all, making, adviser: Adviser::default() }
    }

    /// The stages that make something, as many as anybody reads; a stage does not read itself.
    fn making(&self, kind: Kind, reader: &StageName) -> Vec<&'a str> {
        let making = self.making.iter().filter(|(known, _)| *known == kind).flat_map(|(_, names)| names);
        making.copied().filter(|name| *name != reader.as_str()).take(1000).collect()
    }

    /// What may be meant by a wrong name: a stage that fits if one is alike, else any.
    fn meant(&self, wrong: &str, kind: Kind, reader: &StageName) -> Vec<&'a str> {
        let fitting = self.making(kind, reader);
        if closest(wrong, fitting.iter().copied()).is_some() { fitting } else { self.all.clone() }
    }
}

/// Where a field of a stage stands; the stage itself where the field is empty.
pub(super) fn pointer(name: &StageName, spec: &StageSpec, field: &str) -> String {
    let stage = format!("/stages/{}/{}", escape(name.as_str()), spec.verb());
    if field.is_empty() { stage } else { format!("{stage}/{field}") }
}

/// What a stage objects to, at its place in a document.
pub(super) fn mistake(
    document: &Document,
    name: &StageName,
    spec: &StageSpec,
    objection: Objection,
) -> Mistake {
    let pointer = pointer(name, spec, &objection.field);
    let whole = document.value.pointer(&pointer).is_some_and(|value| value.is_object() || value.is_array());
    let at = if whole { Mistake::at_key } else { Mistake::at_value };
    at(document, &pointer, objection.problem).help(objection.help)
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
