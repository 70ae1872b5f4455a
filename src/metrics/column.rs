//! `Column`: the values of a metric, by the names under which they are kept.

use super::metric::{
    Better, FrechetDistance, InceptionScore, KernelDistance, Metric, Needs, PrecisionAndRecall,
};

/// One value that a metric measures, as tables know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name under which scores are kept: `fid50k_full`, `fd_pixels_2000`.
    pub name: String,
    /// What people call it: `FID`, `FD, pixels`.
    pub title: String,
    /// Number of generated images.
    pub images: usize,
    /// Which end is good; `None` where neither is.
    pub better: Option<Better>,
}

impl Metric {
    /// Its values, in the order in which they are measured.
    pub fn columns(&self) -> Vec<Column> {
        let Needs { detector, generated: images, .. } = self.needs();
        let column = |name: &str, title: &str, better| Column {
            name: name.to_owned(),
            title: title.to_owned(),
            images,
            better,
        };
        let better = Some(self.better());
        // A value of which the detector is part of the name.
        let detected = |name: &str, title: &str, of: &str| {
            let (detector, spoken) = (detector.as_str(), detector.as_str().replace('_', " "));
            column(&format!("{name}_{detector}_{images}{of}"), &format!("{title}, {spoken}"), better)
        };
        match self {
            Self::Fid50kFull => vec![column("fid50k_full", "FID", better)],
            Self::Is50k => vec![column("is50k", "IS", better), column("is50k_std", "IS, spread", None)],
            Self::Kid50kFull => vec![column("kid50k_full", "KID", better)],
            Self::Pr50k3Full => vec![
                column("pr50k3_full_precision", "Precision", better),
                column("pr50k3_full_recall", "Recall", better),
            ],
            Self::FrechetDistance(_) => vec![detected("fd", "FD", "")],
            Self::Is(_) => {
                let name = format!("is_{images}");
                vec![column(&name, "IS", better), column(&format!("{name}_std"), "IS, spread", None)]
            }
            Self::Kid(_) => vec![detected("kid", "KID", "")],
            Self::PrecisionRecall(_) => {
                vec![detected("pr", "Precision", "_precision"), detected("pr", "Recall", "_recall")]
            }
        }
    }

    /// The names under which its values are kept.
    pub fn names(&self) -> Vec<String> {
        self.columns().into_iter().map(|column| column.name).collect()
    }

    /// The metric that measures the value which is kept under a name: `pr50k3_full` of `pr50k3_full_recall`.
    pub fn of_column(name: &str) -> Option<Self> {
        let fixed = [Self::Fid50kFull, Self::Is50k, Self::Kid50kFull, Self::Pr50k3Full];
        let is_it = |metric: &Self| metric.names().iter().any(|own| own == name);
        fixed.into_iter().chain(Self::sized(name)).find(is_it)
    }

    /// The metric of a number of images whose name begins as one of its values' would; others may be spelled alike.
    fn sized(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('_')?;
        let rest =
            ["_std", "_precision", "_recall"].iter().find_map(|of| rest.strip_suffix(of)).unwrap_or(rest);
        if kind == "is" {
            return Some(Self::Is(InceptionScore { images: rest.parse().ok()? }));
        }
        let (detector, images) = rest.rsplit_once('_')?;
        let (detector, images) = (serde_json::from_value(detector.into()).ok()?, images.parse().ok()?);
        match kind {
            "fd" => Some(Self::FrechetDistance(FrechetDistance { detector, images })),
            "kid" => Some(Self::Kid(KernelDistance { detector, images })),
            "pr" => Some(Self::PrecisionRecall(PrecisionAndRecall { detector, images })),
            _ => None,
        }
    }

    /// The value that is kept under a name, whichever metric measures it.
    pub fn column(name: &str) -> Option<Column> {
        Self::of_column(name)?.columns().into_iter().find(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_detector_and_images() {
        let text = r#"["fid50k_full", "is50k", "kid50k_full", "pr50k3_full",
                       {"frechet_distance": {"detector": "random_conv", "images": 2000}}, {"is": {"images": 2000}},
                       {"kid": {"images": 500}}, {"kid": {"detector": "random_conv", "images": 500}},
                       {"precision_recall": {"detector": "pixels", "images": 50}}]"#;
        let metrics: Vec<Metric> = serde_json::from_str(text).unwrap();
        let names: Vec<String> = metrics.iter().flat_map(Metric::names).collect();
        let truth = [
            "fid50k_full",
            "is50k",
            "is50k_std",
            "kid50k_full",
            "pr50k3_full_precision",
            "pr50k3_full_recall",
            "fd_random_conv_2000",
            "is_2000",
            "is_2000_std",
            "kid_inception_500",
            "kid_random_conv_500",
            "pr_pixels_50_precision",
            "pr_pixels_50_recall",
        ];
        assert_eq!(names, truth);
        for column in metrics.iter().flat_map(Metric::columns) {
            assert_eq!(Metric::column(&column.name), Some(column));
        }
        for stranger in [
            "fd_pixels_many",
            "fd_pixels_0200",
            "fd_pixels_200_recall",
            "is_pixels_20",
            "is_20_recall",
            "kid_500",
            "kid_pixels_500_std",
            "pr_pixels_50",
        ] {
            assert_eq!(Metric::column(stranger), None, "`{stranger}`: one metric, one name");
        }
    }
}
