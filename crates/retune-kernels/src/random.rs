//! Random numbers as pure functions of named counters, so that nothing depends on the order of calls.

/// Mixes a sequence of counters into 64 well-spread bits (SplitMix64's finaliser, Steele et al. 2014).
pub fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |state, &part| {
        let mut x = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    })
}

/// A number for a name (FNV-1a), for seeds that depend on parameter names.
pub fn name_key(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// `count` uniform numbers in (0, 1).
pub fn uniform(seed: u64, count: usize) -> Vec<f64> {
    (0..count as u64).map(|i| ((mix(&[seed, i]) >> 11) as f64 + 0.5) / (1u64 << 53) as f64).collect()
}

/// `count` standard normal numbers (Box & Muller 1958).
pub fn normal(seed: u64, count: usize) -> Vec<f32> {
    let uniform = uniform(seed, count.div_ceil(2) * 2);
    let mut values = Vec::with_capacity(count + 1);
    for pair in uniform.chunks_exact(2) {
        let radius = (-2.0 * pair[0].ln()).sqrt();
        let angle = std::f64::consts::TAU * pair[1];
        values.push((radius * angle.cos()) as f32);
        values.push((radius * angle.sin()) as f32);
    }
    values.truncate(count);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_the_right_moments() {
        let x = normal(7, 100_001);
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / x.len() as f64;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn order_of_counters_matters() {
        assert_ne!(mix(&[1, 2]), mix(&[2, 1]));
        assert_ne!(name_key("a.b"), name_key("b.a"));
    }
}
