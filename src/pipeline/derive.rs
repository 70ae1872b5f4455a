//! A derived pipeline as one document: its base with stages removed, values set and stages added.

use std::{collections::HashSet, sync::Arc};

use serde_json::{Map, Value};

use super::{
    document::{Document, escape},
    mistake::Mistake,
    origin::{Origin, Taken},
    overlay::{self, Setting},
    parse::{read_rest, slips},
    schema::{DERIVED_SCHEMA, PIPELINE_SCHEMA},
    source::{Form, Source},
    spec::Derived,
    violations::violations,
};
use crate::suggestion::Adviser;

/// The pipeline that a derived pipeline stands for, in which every value knows its place, and what is wrong with how
/// it came about.
///
/// # Errors
/// All mistakes, where these leave nothing that could be judged as a pipeline.
pub(super) fn derive(document: Document, source: &Source) -> Result<(Document, Vec<Mistake>), Vec<Mistake>> {
    let mut mistakes: Vec<Mistake> = slips(&document).collect();
    let violations = violations(&document, &DERIVED_SCHEMA);
    let derived: Option<Derived> = read_rest(&document, &violations, &["base", "remove", "set"]);
    mistakes.extend(violations.into_iter().map(|(at, mistake)| match at.as_str() {
        "/seed" => mistake.help(Some("write it in `set:`")),
        _ => mistake,
    }));
    let Some(derived) = derived else { return Err(mistakes) };
    let (_, mut whole) =
        source.base(&document, &derived.base).map_err(|of_base| [mistakes.clone(), of_base].concat())?;
    let form = match Form::of(&whole) {
        Form::Pipeline => None,
        Form::Derived => Some("derived itself"),
        Form::Sweep => Some("a sweep itself"),
    };
    if let Some(form) = form {
        let mistake = Mistake::at_value(&document, "/base", format!("`{}` is {form}", derived.base));
        let help = "a base is a pipeline written whole, such as `sida plan --resolved` writes";
        mistakes.push(mistake.help(Some(help)));
        return Err(mistakes);
    }
    // A base without stages is said as such.
    if stages(&mut whole).is_some() {
        let document = Arc::new(document);
        mistakes.extend(remove(&mut whole, &document, &derived));
        let settings = settings(&document, &derived);
        let overwritten = overlay::overwritten(&settings).into_iter();
        mistakes.extend(overwritten.map(|(lost, by)| overlay::lost_mistake(lost, by)));
        mistakes.extend(overlay::apply(&mut whole, &settings, &PIPELINE_SCHEMA.schema));
        mistakes.extend(add(&mut whole, &document, &derived));
    }
    Ok((whole, mistakes))
}

fn stages(whole: &mut Document) -> Option<&mut Map<String, Value>> {
    whole.value.get_mut("stages")?.as_object_mut()
}

fn settings(document: &Arc<Document>, derived: &Derived) -> Vec<Setting> {
    let description = Setting {
        path: "description".to_owned(),
        value: derived.description.clone().into(),
        origin: Origin::Written(Taken::entry(document, "/description".to_owned())),
    };
    let description = (!derived.description.is_empty()).then_some(description);
    let set = derived.set.iter().map(|(path, value)| Setting::written(document, path, value));
    description.into_iter().chain(set).collect()
}

fn remove(whole: &mut Document, document: &Arc<Document>, derived: &Derived) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let adviser = Adviser::default();
    let mut removed = HashSet::new();
    for (i, name) in derived.remove.iter().enumerate() {
        let place = format!("/remove/{i}");
        let Some(stages) = stages(whole) else { break };
        if stages.contains_key(name.as_str()) && removed.insert(name.as_str()) {
            // What reads the stage still is said here.
            let origin = Origin::Written(Taken::entry(document, place));
            whole.set_origin(format!("/stages/{}", escape(name.as_str())), origin);
        } else {
            let known = || stages.keys().map(String::as_str).filter(|name| !removed.contains(name)).collect();
            let help = adviser.advice::<&str>(name.as_str(), known);
            let problem = format!("there is no stage `{name}` in `{}`", derived.base);
            mistakes.push(Mistake::at_value(document, &place, problem).help(help));
        }
    }
    if let Some(stages) = stages(whole) {
        stages.retain(|name, _| !removed.contains(name.as_str()));
    }
    mistakes
}

fn add(whole: &mut Document, document: &Arc<Document>, derived: &Derived) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (name, stage) in &derived.stages {
        let place = format!("/stages/{}", escape(name));
        let Some(stages) = stages(whole) else { break };
        if stages.contains_key(name) {
            let problem = format!("`{}` has a stage `{name}` already", derived.base);
            let help = "change its values in `set:`, or name it in `remove:`, too";
            mistakes.push(Mistake::at_key(document, &place, problem).help(Some(help)));
        } else {
            stages.insert(name.clone(), stage.clone());
            whole.set_origin(place.clone(), Origin::Written(Taken::entry(document, place)));
        }
    }
    mistakes
}
