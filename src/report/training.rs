//! What a report shows of a training: charts, and snapshots over time.

/// What was seen of the training of one stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageCurves {
    /// The stage.
    pub stage: String,
    /// What it is, such as `distill, SiDA`.
    pub title: String,
    /// Its charts.
    pub charts: Vec<Chart>,
    /// Its snapshots, in rising order of kimg.
    pub snapshots: Vec<Snapshot>,
    /// How many snapshots were taken, of which those are shown.
    pub snapshots_taken: usize,
}

/// What a generator made at one moment of its training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When.
    pub kimg: f64,
    /// Some images, as a PNG file's bytes.
    pub png: Vec<u8>,
    /// The whole picture, seen from the page.
    pub path: Option<String>,
    /// Its value of the first metric of snapshots, with the metric's name.
    pub measured: Option<(String, f64)>,
    /// Whether that is the best of all snapshots.
    pub is_best: bool,
    /// Whether its weights are those that the stage hands on.
    pub is_handed_on: bool,
}

/// One chart over the images that training has seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What is drawn.
    pub title: String,
    /// The unit of the vertical axis; empty for pure numbers.
    pub unit: String,
    /// The vertical axis.
    pub scale: Scale,
    /// The lines, at most eight.
    pub lines: Vec<Line>,
    /// Moments worth knowing, such as the start of the adversarial term.
    pub marks: Vec<Mark>,
    /// How to read it, below; may be empty.
    pub note: String,
}

/// A vertical axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Logarithmic where all values are positive and span more than a factor of 30.
    #[default]
    Auto,
    /// Linear.
    Linear,
}

/// One line of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// What the legend says.
    pub label: String,
    /// `[kimg, value]`, in rising order of kimg. A value that is not finite interrupts the line.
    pub points: Vec<[f64; 2]>,
}

/// A moment of training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    /// When.
    pub kimg: f64,
    /// What happens then.
    pub label: String,
}
