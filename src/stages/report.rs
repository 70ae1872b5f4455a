//! `report`: a paper table with verdicts, curves and images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    artifact::{Artifact, TableArtifact},
    context::Context,
    report_data,
    stage::{Elsewhere, Input, Kind, Objection, Stage, Verb},
    world::World,
};
use crate::{
    Result,
    report::{self, Row, ScoresOf},
    stage_name::StageName,
    suggestion::advice,
    terminal,
};

/// A paper table with verdicts, curves and images, as HTML, Markdown, JSON, CSV and LaTeX. The first one of a
/// pipeline is `report.*`, any other `report-<stage>.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The table's caption.
    pub caption: String,
    /// Columns: `nfe`, or names of metrics such as `fid50k_full`; `fd_<detector>_<images>`, such as `fd_pixels_2000`, is the
    /// name of `frechet_distance: { detector: pixels, images: 2000 }`. Others are `is_2000` and `is_2000_std`,
    /// `kid_inception_2000`, `pr_inception_2000_precision` and `pr_inception_2000_recall`.
    #[schemars(length(min = 1))]
    pub columns: Vec<String>,
    /// Rows, from top to bottom.
    #[schemars(length(min = 1))]
    pub rows: Vec<Row>,
    /// The stage that makes the dataset whose images are shown beside the generated ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real_images: Option<StageName>,
}

impl Verb for Report {
    const NAME: &'static str = "report";
    const MAKES: Kind = Kind::Table;
}

impl Report {
    /// Columns for which no row can have a value.
    fn unknown_columns(&self, world: &World<'_>) -> Vec<Objection> {
        let mut known = vec!["nfe".to_owned()];
        for row in &self.rows {
            known.extend(row.published.keys().cloned());
            match &row.scores {
                Some(scores) if scores.pipeline.is_some() => return Vec::new(),
                Some(scores) => match world.scores(&scores.stage) {
                    Some(names) => known.extend(names),
                    None => return Vec::new(),
                },
                None => {}
            }
        }
        known.sort();
        known.dedup();
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let unknown = |(i, column): (usize, &String)| {
            (!known.contains(column)).then(|| Objection {
                help: advice(column, &names),
                ..Objection::new(
                    format!("columns/{i}"),
                    format!("no row has a value for the column `{column}`"),
                )
            })
        };
        self.columns.iter().enumerate().filter_map(unknown).collect()
    }
}

impl Stage for Report {
    fn inputs(&self) -> Vec<Input<'_>> {
        let mut inputs = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            if let Some(ScoresOf { stage, pipeline: None }) = &row.scores {
                inputs.push(Input::new(format!("rows/{i}/scores/stage"), stage, Kind::Scores));
            }
            if let Some(images) = &row.images {
                inputs.push(Input::new(format!("rows/{i}/images"), images, Kind::Images));
            }
        }
        if let Some(real) = &self.real_images {
            inputs.push(Input::new("real_images", real, Kind::Dataset));
        }
        inputs
    }

    fn is_view(&self) -> bool {
        true
    }

    fn check(&self) -> Vec<Objection> {
        let mut objections = Vec::new();
        for (i, column) in self.columns.iter().enumerate() {
            if self.columns[..i].contains(column) {
                objections.push(Objection::new(
                    format!("columns/{i}"),
                    format!("column `{column}` is listed twice"),
                ));
            }
        }
        for (i, row) in self.rows.iter().enumerate() {
            if row.scores.is_none() && row.published.is_empty() {
                objections
                    .push(Objection::new(format!("rows/{i}"), "a row needs `scores`, `published` or both"));
            }
            for column in row.published.keys().filter(|column| !self.columns.contains(column)) {
                objections.push(
                    Objection::new(
                        format!("rows/{i}/published/{column}"),
                        format!("`{column}` is not a column of this table"),
                    )
                    .help(format!("columns are {}", self.columns.join(", "))),
                );
            }
        }
        objections
    }

    fn agrees(&self, world: &World<'_>) -> Vec<Objection> {
        let absent = self.elsewhere().into_iter().filter(|(_, of)| world.pipeline(&of.pipeline).is_none());
        let objection = |(field, of): (String, Elsewhere)| {
            let problem = format!("there is no pipeline file `{}.yaml`", of.pipeline);
            let help = "it is looked for where other paths are, and in `pipelines` there";
            Objection::new(format!("{field}/pipeline"), problem).help(help)
        };
        absent.map(objection).chain(self.unknown_columns(world)).collect()
    }

    fn elsewhere(&self) -> Vec<(String, Elsewhere)> {
        let of_row = |(i, row): (usize, &Row)| {
            let ScoresOf { stage, pipeline } = row.scores.as_ref()?;
            let elsewhere = Elsewhere { pipeline: pipeline.clone()?, stage: stage.clone() };
            Some((format!("rows/{i}/scores"), elsewhere))
        };
        self.rows.iter().enumerate().filter_map(of_row).collect()
    }

    fn told(&self, context: &Context<'_>) -> String {
        format!(
            "writes the table `{}` and its pages, {}.*",
            terminal::name(self.caption.trim()),
            context.report_name
        )
    }

    fn run(&self, context: &mut Context<'_>) -> Result<Artifact> {
        let data = report_data::gather(self, context);
        let files = report::write(context.home, context.report_name, &data)?;
        Ok(Artifact::Table(TableArtifact { text: report::text(&data), brief: report::brief(&data), files }))
    }
}
