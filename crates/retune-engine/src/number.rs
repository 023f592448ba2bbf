//! Numbers for people: three decimals, commas between thousands, a true minus sign, a no-break space before units.
//!
//! The report and the terminal write the same figures; [`plain`] is for places where a no-break space is in the way.

const MISSING: &str = "–";

/// A metric, a loss or any other measured value.
pub fn value(x: f64) -> String {
    let size = x.abs();
    if !x.is_finite() {
        MISSING.into()
    } else if size != 0.0 && !(0.000_95..1e9).contains(&size) {
        scientific(x)
    } else if size >= 99_999.5 {
        signed(x, &count(size.round() as u64))
    } else {
        let decimals = match size {
            1000.0.. => 0,
            100.0.. => 1,
            10.0.. => 2,
            _ => 3,
        };
        signed(x, &format!("{size:.decimals$}"))
    }
}

/// `low – high`.
pub fn interval((low, high): (f64, f64)) -> String {
    format!("{}\u{a0}–\u{a0}{}", value(low), value(high))
}

/// A difference, with its sign.
pub fn difference(x: f64) -> String {
    let plus = if x > 0.0 { "+" } else { "" };
    format!("{plus}{}", value(x))
}

/// A count with commas between thousands.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many in a second: whole from ten on, with one decimal below.
pub fn rate(x: f64) -> String {
    match x.abs() {
        size if !size.is_finite() => MISSING.into(),
        size if size < 9.95 => signed(x, &format!("{size:.1}")),
        size => signed(x, &count(size.round() as u64)),
    }
}

/// The text with ordinary spaces, for a terminal or a log.
pub fn plain(text: &str) -> String {
    text.replace('\u{a0}', " ")
}

/// A share between 0 and 1 as a percentage.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return MISSING.into();
    }
    let decimals = usize::from(share.abs() < 0.1 && share != 0.0);
    let text = format!("{:.decimals$}", share * 100.0);
    if share > 0.0 && text.trim_matches(['0', '.']).is_empty() {
        return "under 0.1\u{a0}%".into();
    }
    format!("{text}\u{a0}%")
}

/// `part` of `whole` as a percentage.
pub fn percent_of(part: u64, whole: u64) -> String {
    percent(part as f64 / whole as f64)
}

/// Bytes in decimal units, as disks and downloads are sold and limits are given.
pub fn bytes(n: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut size, mut unit) = (n as f64, 0);
    while size >= 1000.0 && unit + 1 < units.len() {
        size /= 1000.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 2 && size < 100.0);
    format!("{size:.decimals$}\u{a0}{}", units[unit])
}

/// Seconds as hours, minutes and seconds.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return MISSING.into();
    }
    if seconds < 60.0 {
        return format!("{seconds:.1}\u{a0}s");
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{}\u{a0}h {minutes:02}\u{a0}min", count(hours))
    } else {
        format!("{minutes}\u{a0}min {rest:02}\u{a0}s")
    }
}

/// A large quantity with an SI prefix, for instance `1.2 T`.
pub fn prefixed(x: f64) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P", "E"];
    let (mut size, mut prefix) = (x, 0);
    while size.abs() >= 1000.0 && prefix + 1 < prefixes.len() {
        size /= 1000.0;
        prefix += 1;
    }
    let decimals = match size.abs() {
        100.0.. => 0,
        _ if prefix == 0 && size.fract() == 0.0 => 0,
        _ => 1,
    };
    format!("{size:.decimals$}\u{a0}{}", prefixes[prefix]).trim_end().to_owned()
}

/// The label of an axis tick, given the distance between ticks.
pub fn tick(x: f64, step: f64) -> String {
    if x == 0.0 || x.abs() < step * 1e-6 {
        return "0".into();
    }
    if step < 1e-3 {
        return scientific(x);
    }
    if x.abs() >= 10_000.0 {
        return prefixed(x);
    }
    let decimals = (-step.log10()).ceil().max(0.0) as usize;
    signed(x, &format!("{:.decimals$}", x.abs()))
}

/// A probability under the null hypothesis.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "p\u{a0}<\u{a0}0.001".into() } else { format!("p\u{a0}=\u{a0}{p:.3}") }
}

fn scientific(x: f64) -> String {
    let text = format!("{x:.1e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    format!("{mantissa}e{exponent}").replace('-', "−")
}

fn signed(x: f64, size: &str) -> String {
    let is_zero = size.trim_matches(['0', '.']).is_empty();
    if x < 0.0 && !is_zero { format!("−{size}") } else { size.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_what_matters() {
        for (x, text) in [
            (0.91284, "0.913"),
            (-0.5, "−0.500"),
            (-0.0, "0.000"),
            (0.0, "0.000"),
            (2e-5, "2e−5"),
            (12.345, "12.35"),
            (123.45, "123.5"),
            (4321.0, "4321"),
            (1234567.0, "1,234,567"),
            (4.67e58, "4.7e58"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(value(x), text);
        }
        assert_eq!(difference(0.25), "+0.250");
        assert_eq!(difference(-0.25), "−0.250");
    }

    #[test]
    fn units() {
        assert_eq!(count(999), "999");
        assert_eq!([1000, 1_234_567].map(count), ["1,000", "1,234,567"]);
        assert_eq!([0.42, 9.97, 12.4, -1234.6, f64::NAN].map(rate), ["0.4", "10", "12", "−1,235", "–"]);
        assert_eq!(plain(&interval((0.5, 0.75))), "0.500 – 0.750");
        assert_eq!(percent(0.5), "50\u{a0}%");
        assert_eq!(percent(0.0123), "1.2\u{a0}%");
        assert_eq!(percent(0.00001), "under 0.1\u{a0}%");
        assert_eq!(percent(0.0), "0\u{a0}%");
        assert_eq!(bytes(512), "512\u{a0}B");
        assert_eq!([12_000, 90_900_000].map(bytes), ["12\u{a0}kB", "91\u{a0}MB"]);
        assert_eq!(bytes(2_300_000_000), "2.3\u{a0}GB");
        assert_eq!(duration(5.0), "5.0\u{a0}s");
        assert_eq!(duration(125.0), "2\u{a0}min 05\u{a0}s");
        assert_eq!(duration(3725.0), "1\u{a0}h 02\u{a0}min");
        assert_eq!(prefixed(1.5e12), "1.5\u{a0}T");
        assert_eq!(prefixed(12.0), "12");
    }

    #[test]
    fn ticks_show_the_digits_their_distance_needs() {
        assert_eq!(tick(0.25, 0.05), "0.25");
        assert_eq!(tick(2e-5, 1e-5), "2e−5");
        assert_eq!(tick(20_000.0, 5000.0), "20.0\u{a0}k");
        assert_eq!(tick(-5.0, 5.0), "−5");
    }
}
