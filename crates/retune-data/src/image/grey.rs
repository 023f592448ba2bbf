//! How 16-bit grey becomes 8 bits.

use std::fmt;
use std::str::FromStr;

/// The samples of a 16-bit grey file that become black and white; what lies between is spread evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GreyRange {
    /// Each image's own least and greatest sample: contrast is kept, brightness is not comparable.
    Auto,
    /// The same two samples for all images; what lies outside is clipped.
    Between(u16, u16),
}

impl Default for GreyRange {
    /// 0 to 65535.
    fn default() -> Self {
        Self::Between(0, u16::MAX)
    }
}

impl GreyRange {
    /// The samples in 8 bits, rounded.
    pub(super) fn bytes(self, samples: impl Iterator<Item = u16> + Clone) -> Vec<u8> {
        let (low, high) = match self {
            Self::Between(low, high) => (low, high),
            Self::Auto => (samples.clone().min().unwrap_or_default(), samples.clone().max().unwrap_or_default()),
        };
        // An image of one shade becomes black.
        let width = u32::from(high - low).max(1);
        let byte = |sample: u16| (u32::from(sample.clamp(low, high) - low) * 255 + width / 2) / width;
        samples.map(|sample| byte(sample) as u8).collect()
    }
}

impl fmt::Display for GreyRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between(0, u16::MAX) => formatter.write_str("full"),
            Self::Auto => formatter.write_str("auto"),
            Self::Between(low, high) => write!(formatter, "{low},{high}"),
        }
    }
}

impl FromStr for GreyRange {
    type Err = String;

    /// `full`, `auto` or `LOW,HIGH`.
    fn from_str(text: &str) -> Result<Self, String> {
        let between = || {
            let (low, high) = text.split_once(',')?;
            let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
            (low < high).then_some(Self::Between(low, high))
        };
        match text {
            "full" => Ok(Self::default()),
            "auto" => Ok(Self::Auto),
            _ => between().ok_or_else(|| {
                format!("grey range `{text}` is not full, auto or LOW,HIGH with 0 <= LOW < HIGH <= 65535")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_written() {
        for text in ["full", "auto", "0,4095", "100,200"] {
            assert_eq!(text.parse::<GreyRange>().unwrap().to_string(), text);
        }
        assert_eq!("0,65535".parse(), Ok(GreyRange::default()));
        for text in ["", "5", "9,9", "9,3", "0,65536", "-1,3", "a,b"] {
            assert!(text.parse::<GreyRange>().unwrap_err().contains("LOW,HIGH"), "{text}");
        }
    }

    #[test]
    fn samples_are_spread_over_the_range() {
        let bytes = |range: &str, samples: &[u16]| range.parse::<GreyRange>().unwrap().bytes(samples.iter().copied());
        assert_eq!(bytes("full", &[0, 128, 129, 4095, 65535]), [0, 0, 1, 16, 255]);
        assert_eq!(bytes("0,4095", &[0, 2048, 4095, 5000]), [0, 128, 255, 255]);
        assert_eq!(bytes("1000,1255", &[7, 1000, 1005, 1255]), [0, 0, 5, 255]);
        assert_eq!(bytes("auto", &[500, 600, 700]), [0, 128, 255]);
        assert_eq!(bytes("auto", &[9, 9]), [0, 0]);
    }
}
