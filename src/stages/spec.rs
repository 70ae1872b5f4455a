//! `StageSpec`: the verbs, and the only dispatch over them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    evaluate::Evaluate,
    generate::Generate,
    load_teacher::LoadTeacher,
    prepare_dataset::PrepareDataset,
    report::Report,
    stage::{Kind, Stage, Verb},
};
use crate::{
    distill::Distill,
    teach::TrainTeacher,
    training::{Guard, Microbatch},
};

macro_rules! verbs {
    ($($(#[$doc:meta])* $Verb:ident,)*) => {
        /// What a stage does: one verb with its values.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum StageSpec {
            $($(#[$doc])* $Verb($Verb),)*
        }

        impl StageSpec {
            /// The verb with its values, whichever it is.
            pub fn stage(&self) -> &dyn Stage {
                match self { $(Self::$Verb(stage) => stage,)* }
            }

            /// The same, to be completed.
            pub fn stage_mut(&mut self) -> &mut dyn Stage {
                match self { $(Self::$Verb(stage) => stage,)* }
            }

            /// The verb as the pipeline file writes it.
            pub fn verb(&self) -> &'static str {
                match self { $(Self::$Verb(_) => $Verb::NAME,)* }
            }

            /// The values of the verb as JSON, defaults included, without what changes no number of the result: what is
            /// expected of it, when a training is stopped, and how it gets by with the memory that there is. Credentials in addresses are hidden.
            pub fn values(&self) -> Value {
                let mut bare = self.clone();
                if let Some(expected) = bare.stage_mut().expected_mut() {
                    expected.clear();
                }
                if let Some(guard) = bare.stage_mut().guard_mut() {
                    *guard = Guard::default();
                }
                bare.stage_mut().switches_mut().into_iter().for_each(|switch| *switch = false);
                if let Some(size) = bare.stage_mut().microbatch_mut() {
                    *size = size.filter(|size| *size != Microbatch::AUTO);
                }
                match &bare { $(Self::$Verb(stage) => serde_json::to_value(stage),)* }.unwrap_or_default()
            }

            /// The verbs that make something.
            pub fn making(kind: Kind) -> impl Iterator<Item = &'static str> {
                [$(($Verb::NAME, $Verb::MAKES),)*].into_iter().filter(move |(_, makes)| *makes == kind).map(|(name, _)| name)
            }

            /// What a verb makes, by its name; `None` where there is no such verb.
            pub fn makes(verb: &str) -> Option<Kind> {
                [$(($Verb::NAME, $Verb::MAKES),)*].into_iter().find(|(name, _)| *name == verb).map(|(_, kind)| kind)
            }
        }
    };
}

verbs! {
    /// Makes an image dataset ready: finds it, or converts images into it.
    PrepareDataset,
    /// Fetches a published network and reads its weights.
    LoadTeacher,
    /// Trains a diffusion model from nothing.
    TrainTeacher,
    /// Distills a teacher into a generator that needs one step.
    Distill,
    /// Makes images with a network, one seed each.
    Generate,
    /// Measures a network, or pictures, against a dataset.
    Evaluate,
    /// A paper table with verdicts, curves and images.
    Report,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_called_what_the_file_calls_it() {
        let schema = serde_json::to_value(schemars::schema_for!(StageSpec)).unwrap();
        let branches = schema["oneOf"].as_array().unwrap();
        let written =
            branches.iter().map(|branch| branch["properties"].as_object().unwrap().keys().next().unwrap());
        for verb in written {
            assert!(StageSpec::makes(verb).is_some(), "`{verb}` is not the `NAME` of its type");
        }
        assert_eq!(StageSpec::makes("destill"), None);
    }
}
