//! Axes: which values get a tick, and what is written beside it.

/// An axis from `low` to `high`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) log: bool,
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    /// A linear axis that holds the values, with about `count` ticks at 1, 2 or 5 times a power of ten; `widen` lets it
    /// reach to the next tick at both ends.
    pub(super) fn linear(low: f64, high: f64, count: usize, widen: bool) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low - half_of(low), high + half_of(high)) };
        let step = nice_step((high - low) / count.max(1) as f64);
        let (low, high) =
            if widen { ((low / step).floor() * step, (high / step).ceil() * step) } else { (low, high) };
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|i| i as f64 * step).collect();
        Self { low, high, log: false, ticks }
    }

    /// A logarithmic axis that holds the positive values: ticks at powers of ten, also at 2 and 5 times them where
    /// there would be few.
    pub(super) fn log(low: f64, high: f64) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low / 2.0, high * 2.0) };
        let margin = (high / low).powf(0.04);
        let (low, high) = (low / margin, high * margin);
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let within = |factors: &[f64], every: usize| -> Vec<f64> {
            let ticks = decades.clone().step_by(every);
            let ticks = ticks.flat_map(|d| factors.iter().map(move |f| f * 10f64.powi(d)));
            ticks.filter(|t| *t >= low && *t <= high).collect()
        };
        let every = decades.clone().count().div_ceil(6);
        let mut ticks = within(&[1.0], every);
        if ticks.len() < 3 {
            ticks = within(&[1.0, 2.0, 5.0], 1);
        }
        if ticks.len() < 3 {
            ticks = Self::linear(low, high, 4, false).ticks;
        }
        Self { low, high, log: true, ticks }
    }

    /// The ticks without a label: of a logarithmic axis those that show that it is one. Between neighbouring powers of ten,
    /// their multiples; where only some powers have a label, the others.
    pub(super) fn minor(&self) -> Vec<f64> {
        let [first, second, ..] = self.ticks[..] else { return Vec::new() };
        if !self.log {
            return Vec::new();
        }
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let is_power = |tick: &f64| (tick.log10() - tick.log10().round()).abs() < 1e-9;
        let minor: Vec<f64> = if self.ticks.iter().all(is_power) && second > 11.0 * first {
            decades.map(|d| 10f64.powi(d)).collect()
        } else {
            decades.flat_map(|d| (1..10).map(move |i| f64::from(i) * 10f64.powi(d))).collect()
        };
        let is_labelled = |value: f64| self.ticks.iter().any(|tick| (tick - value).abs() < 1e-9 * value);
        minor.into_iter().filter(|v| *v >= self.low && *v <= self.high && !is_labelled(*v)).collect()
    }

    /// Where a value lies: 0 at `low`, 1 at `high`.
    pub(super) fn place(&self, value: f64) -> f64 {
        if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// What is written at each tick.
    pub(super) fn labels(&self) -> Vec<String> {
        if self.log {
            return self.ticks.iter().map(|t| label(*t, 0)).collect();
        }
        let step = self.ticks.windows(2).map(|w| w[1] - w[0]).next().unwrap_or(1.0);
        let decimals = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
        self.ticks.iter().map(|t| label(*t, decimals)).collect()
    }
}

fn half_of(value: f64) -> f64 {
    if value == 0.0 { 1.0 } else { value.abs() / 2.0 }
}

/// 1, 2 or 5 times a power of ten, not below `rough`.
fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= rough * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// `0.25`, `1,500`, `20k`, `3M`, `1e−5`.
fn label(value: f64, decimals: usize) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => "0".to_owned(),
        _ if !(1e-4..1e9).contains(&size) => format!("{value:e}"),
        _ if size >= 1e6 => format!("{}M", value / 1e6),
        _ if size >= 1e4 => format!("{}k", value / 1e3),
        _ if decimals > 0 => format!("{value:.decimals$}"),
        _ => format!("{}", (value * 1e6).round() / 1e6),
    };
    // Multiples of a step carry rounding; nobody reads more than eight digits of a tick.
    let text = if text.len() > 9 { format!("{value:.2e}") } else { text };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let axis = Axis::linear(0.0, 20.0, 5, false);
        assert_eq!(axis.labels(), ["0", "5", "10", "15", "20"]);
        let axis = Axis::linear(0.13, 0.87, 4, true);
        assert_eq!(axis.labels(), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let axis = Axis::linear(0.0, 300_000.0, 5, false);
        assert_eq!(axis.labels(), ["0", "100k", "200k", "300k"]);
    }

    #[test]
    fn decades_and_what_lies_between() {
        assert_eq!(Axis::log(0.02, 400.0).labels(), ["0.1", "1", "10", "100"]);
        assert_eq!(Axis::log(0.4, 8.0).labels(), ["0.5", "1", "2", "5"]);
        assert!(Axis::log(1e-12, 1e12).ticks.len() <= 7);
    }

    #[test]
    fn what_is_logarithmic_has_ticks_between_the_labels() {
        let minor = |low, high| Axis::log(low, high).minor().iter().map(|v| label(*v, 0)).collect::<Vec<_>>();
        let decade = ["0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "2", "3"];
        assert_eq!(minor(0.02, 400.0)[8..18], decade, "of each decade");
        assert_eq!(minor(0.4, 8.0), ["0.4", "0.6", "0.7", "0.8", "0.9", "3", "4", "6", "7", "8", "9"]);
        let axis = Axis::log(1e-12, 1e12);
        let all: Vec<f64> = axis.ticks.iter().copied().chain(axis.minor()).collect();
        assert_eq!(all.len(), 25, "every power once: {all:?}");
        assert!(Axis::linear(0.1, 20.0, 5, true).minor().is_empty());
    }

    #[test]
    fn a_single_value_still_has_an_axis() {
        for axis in [Axis::linear(0.0, 0.0, 4, true), Axis::linear(-3.0, -3.0, 4, true), Axis::log(2.0, 2.0)]
        {
            assert!(axis.high > axis.low && !axis.ticks.is_empty(), "{axis:?}");
            assert!(axis.place(axis.low).abs() < 1e-12 && (axis.place(axis.high) - 1.0).abs() < 1e-12);
        }
    }
}
