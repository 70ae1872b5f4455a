//! Numbers as a reader wants them: as many digits as say something, a dash for what is no number.

/// What stands for a value that is absent or not finite.
pub(super) const DASH: &str = "–";

/// How the numbers of one column are written, so that their points stand below one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    /// After the point.
    Decimals(usize),
    /// Mantissa and power of ten.
    Scientific,
}

impl Digits {
    /// Three decimals, four where a value is below a tenth, fewer for large ones.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let sizes = values.map(f64::abs).filter(|v| v.is_finite() && *v > 0.0);
        let (least, largest) = sizes.fold((f64::INFINITY, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
        match largest {
            0.0 => Self::Decimals(3),
            _ if largest < 1e-3 => Self::Scientific,
            _ if least >= 1000.0 => Self::Decimals(1),
            _ if least >= 100.0 => Self::Decimals(2),
            _ if least >= 0.1 => Self::Decimals(3),
            _ => Self::Decimals(4),
        }
    }

    /// One value.
    pub(super) fn write(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => DASH.to_owned(),
            Self::Decimals(n) => signed(format!("{value:.n$}")),
            Self::Scientific => signed(format!("{value:.2e}")),
        }
    }

    /// With so many decimals, up to six, that a difference shows two digits.
    pub(super) fn showing(self, difference: f64) -> Self {
        match self {
            Self::Decimals(n) if difference.is_finite() && difference != 0.0 => {
                let wanted = 1.0 - difference.abs().log10().floor();
                Self::Decimals(n.max(wanted.clamp(0.0, 6.0) as usize))
            }
            _ => self,
        }
    }

    /// A difference, with its sign; one that would vanish is written as a power of ten.
    pub(super) fn difference(self, value: f64) -> String {
        let text = self.write(value);
        let vanishes = value != 0.0 && text.chars().all(|c| matches!(c, '0' | '.'));
        let text = if vanishes { signed(format!("{value:.1e}")) } else { text };
        if value.is_finite() && value > 0.0 { format!("+{text}") } else { text }
    }
}

/// A true minus sign, and none before zero.
fn signed(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

/// `2000` as `2,000`.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let head = digits.len() % 3;
    let mut out = digits[..head].to_owned();
    for (i, c) in digits[head..].chars().enumerate() {
        if i % 3 == 0 && !out.is_empty() {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `42 s`, `3 min 05 s`, `7 h 12 min`, `4 d 03 h`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return DASH.to_owned();
    }
    let s = seconds.round() as u64;
    match s {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {:02} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {:02} h", s / 86_400, s / 3600 % 24),
    }
}

/// `0.85 images/s`, `12.3 images/s`, `1,797 images/s`.
pub(super) fn rate(images_per_second: f64) -> String {
    let number = match images_per_second {
        rate if !rate.is_finite() || rate < 0.0 => return DASH.to_owned(),
        rate if rate < 10.0 => format!("{rate:.2}"),
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => thousands(rate.round() as u64),
    };
    number + " images/s"
}

/// `52 MiB`, `1.7 GiB`.
pub(super) fn memory(mib: f64) -> String {
    match mib {
        _ if !mib.is_finite() || mib < 0.0 => DASH.to_owned(),
        _ if mib < 1000.0 => format!("{mib:.0} MiB"),
        _ => format!("{:.1} GiB", mib / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_one_number_of_decimals() {
        let column = [1.499, 1.11, 12.3456];
        let digits = Digits::of(column.into_iter());
        assert_eq!(column.map(|v| digits.write(v)), ["1.499", "1.110", "12.346"]);
        assert_eq!(Digits::of([0.029, 1.26].into_iter()).write(0.029), "0.0290");
        assert_eq!(Digits::of([5.1e-6, 3e-5].into_iter()).write(5.1e-6), "5.10e-6");
        assert_eq!(Digits::of([f64::NAN].into_iter()).write(f64::NAN), DASH);
        assert_eq!(Digits::Decimals(3).write(-0.0001), "0.000");
        assert_eq!(Digits::Decimals(2).write(-1.0), "−1.00");
    }

    #[test]
    fn a_difference_shows_digits_and_a_sign() {
        let written = |value: f64| Digits::Decimals(3).showing(value).difference(value);
        let said = [0.0, 1.5, -0.0123, 0.000_25, 1e-16, f64::NAN].map(written);
        assert_eq!(said, ["0.000", "+1.500", "−0.012", "+0.00025", "+1.0e-16", DASH]);
    }

    #[test]
    fn counts_and_durations() {
        assert_eq!([7, 999, 2000, 1_234_567].map(thousands), ["7", "999", "2,000", "1,234,567"]);
        let said = [4.26, 42.0, 185.0, 25_920.0, 356_400.0, f64::NAN].map(duration);
        assert_eq!(
            [0.851, 12.34, 1797.2, f64::NAN].map(rate),
            ["0.85 images/s", "12.3 images/s", "1,797 images/s", DASH]
        );
        assert_eq!([51.6, 1740.0, f64::INFINITY].map(memory), ["52 MiB", "1.7 GiB", DASH]);
        assert_eq!(said, ["4.3 s", "42 s", "3 min 05 s", "7 h 12 min", "4 d 03 h", DASH]);
    }
}
